"""When work that is lost again and again is given up."""

from __future__ import annotations

from services.coordinator.resends import MOST_SENDS, WITHIN_S, Resends

ATTEMPT = ("run", "a", 1)
NEXT = ("run", "a", 2)


def test_what_was_sent_often_enough_is_in_vain_and_the_next_attempt_is_not() -> None:
    resends = Resends(lambda: 0.0)
    for _ in range(MOST_SENDS):
        assert not resends.are_in_vain(ATTEMPT)
        resends.count([ATTEMPT])
    assert resends.are_in_vain(ATTEMPT)
    assert not resends.are_in_vain(NEXT)


def test_what_was_lost_long_ago_is_forgotten() -> None:
    now = 0.0
    resends = Resends(lambda: now)
    resends.count([ATTEMPT] * (MOST_SENDS - 1))
    now = WITHIN_S + 1
    resends.count([ATTEMPT])
    assert not resends.are_in_vain(ATTEMPT)
