"""What the streams tell of lost work: how old the oldest message of a node type is.

A message of NODE_WORK stays until its work is acknowledged, which is after its result is in NODE_RESULTS; a
result stays until it is committed. So an attempt is lost when it was sent before the oldest work there is,
and every result that was there when that was seen has been settled since.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext

from services.coordinator.metrics import OUTBOX_AGE, WORK_AGE, node_type_label
from shared.contracts import subjects

#: Clocks of servers differ, and what was committed a moment ago may be about to be published.
MARGIN = timedelta(seconds=5)
#: Looks remembered for each type.
LOOKS_KEPT = 100


@dataclass(frozen=True, slots=True)
class _Look:
    """At this time, all work sent before `gone_before` had left the stream."""

    seen_at: datetime
    gone_before: datetime


class StreamAges:
    """Remembers what it saw, so that results on their way are never taken for lost ones."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream
        self._looks: dict[str, deque[_Look]] = {}

    async def lost_before(self, node_type: str) -> datetime | None:
        """Attempts without a lease that were sent before this time are lost; None while that is not known."""
        now = datetime.now(UTC)
        oldest_work = await self._oldest(subjects.NODE_WORK, subjects.node_ready(node_type))
        looks = self._looks.setdefault(node_type, deque(maxlen=LOOKS_KEPT))
        looks.append(_Look(now, oldest_work or now))
        oldest_result = await self._oldest(subjects.NODE_RESULTS, subjects.node_result(node_type))
        WORK_AGE.labels(node_type_label(node_type)).set(_seconds(now, oldest_work))
        OUTBOX_AGE.labels(node_type_label(node_type)).set(_seconds(now, oldest_result))
        settled_until = oldest_result or datetime.now(UTC)
        proven = [look.gone_before for look in looks if look.seen_at + MARGIN < settled_until]
        return max(proven) - MARGIN if proven else None

    async def is_waiting(self, node_type: str, sent_at: datetime) -> bool:
        """True when the message of an attempt sent then may still be in the stream."""
        oldest = await self._oldest(subjects.NODE_WORK, subjects.node_ready(node_type))
        return oldest is not None and oldest <= sent_at + MARGIN

    async def _oldest(self, stream: str, subject: str) -> datetime | None:
        try:
            message = await self._jetstream.get_msg(stream, seq=1, subject=subject, next=True)
        except nats.js.errors.NotFoundError:
            return None
        return message.time


def _seconds(now: datetime, oldest: datetime | None) -> float:
    """0 when there is none."""
    return max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0
