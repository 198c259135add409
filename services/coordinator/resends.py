"""Which work was sent again and again, and each time taken without a result that anybody could read.

Only sends that the stream has acknowledged count, so that neither a NATS that is away nor a full disk ends an attempt.
What this coordinator sent is all that it knows; with several of them it takes that many times as long.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

from services.coordinator.decision import AttemptRef

#: As often as a worker takes what may have ended all workers before it.
MOST_SENDS = 5
#: Within so long: losses of NATS are rarer than that.
WITHIN_S = 600.0


class Resends:
    """Remembers what was sent in the last minutes."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._sent: deque[tuple[float, AttemptRef]] = deque()
        self._counts: dict[AttemptRef, int] = {}

    def count(self, attempts: Iterable[AttemptRef]) -> None:
        """The stream has acknowledged these."""
        self._forget()
        for attempt in attempts:
            self._sent.append((self._now(), attempt))
            self._counts[attempt] = self._counts.get(attempt, 0) + 1

    def are_in_vain(self, attempt: AttemptRef) -> bool:
        """True when to send it once more would be no better."""
        self._forget()
        return self._counts.get(attempt, 0) >= MOST_SENDS

    def _forget(self) -> None:
        while self._sent and self._now() - self._sent[0][0] > WITHIN_S:
            _, attempt = self._sent.popleft()
            self._counts[attempt] -= 1
            if not self._counts[attempt]:
                del self._counts[attempt]
