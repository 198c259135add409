"""Time and ids: ids are UUIDv7, so they sort by the time when they were made."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import RFC_4122

import pytest

from shared.clock import SystemClock, id_of, new_id


def test_an_id_is_a_version_7_uuid():
    for _ in range(100):
        made = new_id()
        assert (made.version, made.variant) == (7, RFC_4122)


def test_an_id_begins_with_the_milliseconds_when_it_was_made():
    before = time.time_ns() // 1_000_000
    made = new_id().int >> 80
    assert before <= made <= time.time_ns() // 1_000_000


def test_ids_sort_by_time_as_numbers_and_as_text(monkeypatch: pytest.MonkeyPatch):
    moments = [1_700_000_000_000 + 1_000 * number for number in range(500)]
    made = []
    for moment in moments:
        monkeypatch.setattr(time, "time_ns", lambda now=moment: now * 1_000_000 + 999_999)
        made.append(new_id())
    assert [found.int >> 80 for found in made] == moments
    mixed = Random(1).sample(made, len(made))
    assert sorted(mixed) == made
    assert sorted(map(str, mixed)) == list(map(str, made))


def test_ids_of_one_moment_differ(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    made = {new_id() for _ in range(10_000)}
    assert len(made) == 10_000
    assert len({found.int >> 80 for found in made}) == 1


def test_the_clock_tells_utc():
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)


def test_an_id_of_something_that_happened_is_the_same_each_time():
    moment = 1_700_000_000_123_456_789
    made = id_of(moment, "17")
    assert (made.version, made.variant, made.int >> 80) == (7, RFC_4122, 1_700_000_000_123)
    assert made == id_of(moment, "17")
    assert len({id_of(moment, "17"), id_of(moment, "18"), id_of(moment + 1, "17")}) == 3
