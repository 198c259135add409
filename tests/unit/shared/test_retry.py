"""Backoff: a random wait, under a cap that grows and stops growing."""

from __future__ import annotations

from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from shared.contracts.pipelines import Retry
from shared.retry import backoff_s

retries = st.builds(
    Retry,
    max_attempts=st.integers(1, 20),
    initial_delay_s=st.floats(0, 600),
    factor=st.floats(1, 10),
    max_delay_s=st.floats(0, 600),
)


def waits(retry: Retry, attempt: int) -> list[float]:
    return [backoff_s(retry, attempt, Random(seed)) for seed in range(300)]


@settings(max_examples=200, deadline=None, database=None)
@given(retry=retries, attempt=st.integers(1, 20), seed=st.integers())
def test_a_wait_is_within_its_bounds(retry: Retry, attempt: int, seed: int):
    wait = backoff_s(retry, attempt, Random(seed))
    assert 0 <= wait <= retry.max_delay_s
    assert wait <= retry.initial_delay_s * retry.factor ** (attempt - 1)


@pytest.mark.parametrize(("attempt", "cap"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (20, 30.0)])
def test_the_cap_doubles_up_to_the_longest_wait(attempt: int, cap: float):
    found = waits(Retry(), attempt)
    assert 0.95 * cap < max(found) <= cap


def test_a_wait_may_be_anything_under_its_cap():
    """Full jitter: many that failed together do not come back together."""
    found = waits(Retry(initial_delay_s=10), 1)
    assert min(found) < 1
    assert [sum(low <= wait < low + 2.5 for wait in found) > 40 for low in (0, 2.5, 5, 7.5)] == [True] * 4


def test_the_same_seed_waits_the_same_time():
    assert waits(Retry(), 3) == waits(Retry(), 3)


@pytest.mark.parametrize("retry", [Retry(initial_delay_s=0), Retry(max_delay_s=0)], ids=["initial", "longest"])
def test_a_wait_may_be_none_at_all(retry: Retry):
    assert set(waits(retry, 5)) == {0.0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"max_attempts": 21},
        {"factor": 0.5},
        {"initial_delay_s": -1},
        {"max_delay_s": 601},
        {"max_delay_s": float("inf")},
        {"jitter": True},
    ],
    ids=str,
)
def test_a_retry_that_could_wait_for_ever_cannot_be_said(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        Retry.model_validate(wrong)
