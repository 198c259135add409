"""The oldest work of a node type that somebody is to take yet, found in the stream.

Work that is held for an hour keeps its message for an hour, and would hide what was lost behind it. So messages of
attempts with a valid lease are stepped past, and those of attempts that are over, as of a cancelled run whose worker
does not stop. Each is read once: messages only leave a stream, or come at its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

from services.coordinator.decision import AttemptRef, NodeRef
from services.coordinator.store.reconciling import load_unwaited
from shared.bus.publish import MESSAGE_ID
from shared.contracts import subjects
from shared.postgres import Pool

#: Messages that are read at once past those that nobody waits for, and how often in one look.
READ = 20
ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Work:
    """A message of NODE_WORK."""

    seq: int
    sent_at: datetime
    #: None when it does not say.
    attempt: AttemptRef | None


class OldestWork:
    """Remembers what was stepped past, by node type."""

    def __init__(self, jetstream: JetStreamContext, pool: Pool) -> None:
        self._jetstream = jetstream
        self._pool = pool
        self._known: dict[str, list[Work]] = {}

    async def find(self, node_type: str) -> tuple[datetime | None, frozenset[NodeRef]]:
        """When the oldest work was sent that is to be taken yet, None if there is none; and what is held before it."""
        oldest = await oldest_waiting(self._jetstream, subjects.NODE_WORK, node_type, subjects.node_ready(node_type))
        if oldest is None:
            self._known.pop(node_type, None)
            return None, frozenset()
        first = _work_of(oldest)
        known = self._known.get(node_type, [])
        # What does not begin with something known is all new: the rest has left, or the stream was made anew.
        unread = known[known.index(first) :] if first in known else [first]
        passed: list[Work] = []
        held: list[AttemptRef] = []
        there = first
        for _ in range(ROUNDS):
            unwaited = await self._unwaited(one.attempt for one in unread if one.attempt is not None)
            for at, one in enumerate(unread):
                if one.attempt is not None and one.attempt in unwaited:
                    passed.append(one)
                    if unwaited[one.attempt]:
                        held.append(one.attempt)
                    continue
                if one.seq > there.seq:
                    there = await self._next(node_type, one.seq) or there
                if one == there:
                    self._known[node_type] = [*passed, *unread[at:]]
                    return one.sent_at, _references(held)
            last = unread[-1]
            unread = await self._read(node_type, last.seq + 1)
            if not unread:
                self._known[node_type] = passed
                return None, _references(held)
        self._known[node_type] = passed
        return unread[0].sent_at, _references(held)

    async def _unwaited(self, attempts: Iterable[AttemptRef]) -> dict[AttemptRef, bool]:
        async with self._pool.connection() as connection:
            return await load_unwaited(connection, attempts)

    async def _read(self, node_type: str, seq: int) -> list[Work]:
        found: list[Work] = []
        while len(found) < READ and (work := await self._next(node_type, seq)) is not None:
            found.append(work)
            seq = work.seq + 1
        return found

    async def _next(self, node_type: str, seq: int) -> Work | None:
        try:
            message = await self._jetstream.get_msg(
                subjects.NODE_WORK, seq=seq, subject=subjects.node_ready(node_type), next=True
            )
        except nats.js.errors.NotFoundError:
            return None
        return _work_of(message)


async def oldest_waiting(jetstream: JetStreamContext, stream: str, durable: str, subject: str) -> RawStreamMsg | None:
    """The oldest message of this subject that waits for this durable, or is held. Those before its acknowledgement
    floor are settled: a server whose disk was full may keep them all the same, and gives them to nobody."""
    try:
        first = await jetstream.get_msg(stream, seq=1, subject=subject, next=True)
        floor = await _acknowledged_until(jetstream, stream, durable)
        if first.seq is not None and first.seq <= floor:
            first = await jetstream.get_msg(stream, seq=floor + 1, subject=subject, next=True)
    except nats.js.errors.NotFoundError:
        return None
    return first


async def _acknowledged_until(jetstream: JetStreamContext, stream: str, durable: str) -> int:
    """0 for a durable that is not there."""
    try:
        info = await jetstream.consumer_info(stream, durable)
    except nats.js.errors.NotFoundError:
        return 0
    return info.ack_floor.stream_seq if info.ack_floor is not None else 0


def _work_of(message: RawStreamMsg) -> Work:
    assert message.seq is not None
    assert message.time is not None
    return Work(message.seq, message.time, _attempt_of(message))


def _attempt_of(message: RawStreamMsg) -> AttemptRef | None:
    """From the id under which it was published: `run:node:attempt:dispatch`."""
    parts = (message.headers or {}).get(MESSAGE_ID, "").split(":")
    return (parts[0], parts[1], int(parts[2])) if len(parts) == 4 and parts[2].isdecimal() else None


def _references(attempts: Iterable[AttemptRef]) -> frozenset[NodeRef]:
    return frozenset(attempt[:2] for attempt in attempts)
