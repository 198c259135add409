"""Decides what becomes of a delivery after an attempt; pure."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from services.coordinator.state import Outcome
from shared.contracts.states import AttemptOutcome, DeliveryStatus

#: Seconds between one attempt and the next; after the last attempt, some 20 hours on, it has failed.
DELAYS_S = (5, 30, 120, 600, 3600, 6 * 3600, 12 * 3600)
#: Each is lengthened by up to so much of itself, so that what failed together does not come again together.
JITTER = 0.2
#: The error of an answer that says: never again.
GONE = "gone"
ERROR_SHOWN = 500


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How one attempt ended."""

    is_delivered: bool
    http_status: int | None = None
    error: str | None = None
    is_gone: bool = False
    #: The other side asked to wait at least so long.
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of the delivery; `delay_s` until the next attempt, if there is one."""

    status: DeliveryStatus
    delay_s: float | None = None


def attempt_end(outcome: Outcome) -> AttemptEnd:
    """Read from what a worker said."""
    status = outcome.metadata.get("http_status")
    http_status = status if isinstance(status, int) and 100 <= status <= 999 else None
    if outcome.outcome is AttemptOutcome.COMPLETED:
        return AttemptEnd(True, http_status)
    error = outcome.error or {}
    words = str(error.get("message", "")).replace("\x00", "")[:ERROR_SHOWN]
    return AttemptEnd(False, http_status, words, error.get("code") == GONE, outcome.retry_after_s or 0.0)


def after(end: AttemptEnd, failures: int, random: Random) -> Next:
    """`failures` happened before this attempt."""
    if end.is_delivered:
        return Next(DeliveryStatus.DELIVERED)
    if end.is_gone or failures >= len(DELAYS_S):
        return Next(DeliveryStatus.FAILED)
    delay_s = DELAYS_S[failures] * (1 + random.uniform(0, JITTER))
    return Next(DeliveryStatus.PENDING, max(delay_s, end.retry_after_s))
