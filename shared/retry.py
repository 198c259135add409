"""How long is waited between two attempts."""

from __future__ import annotations

from random import Random

from shared.contracts.pipelines import Retry


def backoff_s(retry: Retry, attempt: int, random: Random) -> float:
    """Seconds to wait after this attempt failed: exponential backoff with full jitter.

    A random time up to `min(max_delay_s, initial_delay_s * factor ** (attempt - 1))`; see "Exponential Backoff
    And Jitter", AWS Architecture Blog, 2015.
    """
    cap = min(retry.max_delay_s, retry.initial_delay_s * retry.factor ** (attempt - 1))
    return random.uniform(0.0, cap)
