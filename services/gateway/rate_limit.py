"""How often a key may ask: a token bucket for each, in the memory of this gateway."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from shared.errors import ServiceError

#: A key may ask for so many seconds' worth at once.
BURST_S = 2.0
#: Buckets at once; beyond, the one that was unused for longest is forgotten, which is as good as full.
MOST_BUCKETS = 10_000


class RateLimitedError(ServiceError):
    status = 429
    title = "Too many requests"


class RateLimit:
    """Lets each key ask `per_s` times a second, and twice as often at once; 0 lets all pass.

    A bucket is the one time at which it is full again, so it is neither filled by a timer nor larger than a
    number. What is refused takes nothing out of it. Costs the same however many keys there are.
    """

    def __init__(self, per_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._cost_s = 1.0 / per_s if per_s else 0.0
        #: From empty to full; at least one request fits in.
        self._size_s = max(BURST_S, self._cost_s)
        self._per_s = per_s
        self._now = now
        #: The one used longest ago comes first.
        self._full_at: OrderedDict[UUID, float] = OrderedDict()

    def take(self, key_id: UUID, name: str) -> None:
        """One request of this key; raises RateLimitedError, with the time to wait."""
        if not self._cost_s:
            return
        now = self._now()
        full_at = max(self._full_at.get(key_id, now), now) + self._cost_s
        if (wait_s := full_at - now - self._size_s) > 1e-9:  # what adding up floats may be off by
            raise RateLimitedError(
                "too_many_requests",
                f"Key '{name}' may ask {self._per_s:g} times a second. Wait as long as Retry-After says.",
                retry_after_s=round(wait_s, 3),
            )
        self._full_at[key_id] = full_at
        self._full_at.move_to_end(key_id)
        self._forget(now)

    def __len__(self) -> int:
        """Buckets in memory."""
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        """Up to two of the oldest for each that is added, so that what is full goes sooner than new ones come."""
        for _ in range(2):
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now and len(self._full_at) <= MOST_BUCKETS:
                return
            del self._full_at[oldest]


#: For whoever puts a gateway together without one.
NO_LIMIT = RateLimit(0)
