"""What the streams tell of lost work: how old the oldest message of a node type is that nobody holds.

A message of NODE_WORK stays until its work is acknowledged, which is after its result is in NODE_RESULTS; a
result stays until it is committed. So an attempt is over without a result when it was sent before the oldest work
there was, and every result that was there when that was seen has been settled since.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nats.js import JetStreamContext

from services.coordinator.decision import NodeRef
from services.coordinator.metrics import OUTBOX_AGE, WORK_AGE, node_type_label
from services.coordinator.oldest_work import OldestWork, oldest_waiting
from shared.contracts import subjects
from shared.postgres import Pool

#: Clocks of servers differ, and what was committed a moment ago may be about to be published.
MARGIN = timedelta(seconds=5)
#: Looks remembered for each type.
LOOKS_KEPT = 100


@dataclass(frozen=True, slots=True)
class _Look:
    """At this time, all work sent before `gone_before` had left the stream, but for what was held."""

    seen_at: datetime
    gone_before: datetime
    held: frozenset[NodeRef]


@dataclass(frozen=True, slots=True)
class Ages:
    """What is known of one node type now."""

    #: When the oldest work was sent that nobody holds.
    oldest: datetime | None
    #: What was sent before this, and is not in `held`, will have no result; None while that is not known.
    gone_before: datetime | None
    held: frozenset[NodeRef]

    def is_waiting(self, sent_at: datetime) -> bool:
        """True when the message of an attempt sent then, without a valid lease, may still be in the stream."""
        return self.oldest is not None and self.oldest <= sent_at + MARGIN

    def is_gone(self, node: NodeRef, sent_at: datetime) -> bool:
        """True when the current attempt of this node, sent then, is neither in the stream nor among the results."""
        return self.gone_before is not None and sent_at < self.gone_before and node not in self.held


class StreamAges:
    """Remembers what it saw, so that results on their way are never taken for lost ones."""

    def __init__(self, jetstream: JetStreamContext, pool: Pool) -> None:
        self._jetstream = jetstream
        self._work = OldestWork(jetstream, pool)
        self._looks: dict[str, deque[_Look]] = {}

    async def look(self, node_type: str) -> Ages:
        now = datetime.now(UTC)
        oldest_work, held = await self._work.find(node_type)
        looks = self._looks.setdefault(node_type, deque(maxlen=LOOKS_KEPT))
        looks.append(_Look(now, oldest_work or now, held))
        oldest_result = await self._oldest_result(node_type)
        WORK_AGE.labels(node_type_label(node_type)).set(_seconds(now, oldest_work))
        OUTBOX_AGE.labels(node_type_label(node_type)).set(_seconds(now, oldest_result))
        settled_until = oldest_result or datetime.now(UTC)
        proven = [look for look in looks if look.seen_at + MARGIN < settled_until]
        if not proven:
            return Ages(oldest_work, None, frozenset())
        best = max(proven, key=lambda look: look.gone_before)
        return Ages(oldest_work, best.gone_before - MARGIN, best.held)

    async def _oldest_result(self, node_type: str) -> datetime | None:
        durable, subject = subjects.NODE_RESULTS_DURABLE, subjects.node_result(node_type)
        message = await oldest_waiting(self._jetstream, subjects.NODE_RESULTS, durable, subject)
        return message.time if message is not None else None


def _seconds(now: datetime, oldest: datetime | None) -> float:
    """0 when there is none."""
    return max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0
