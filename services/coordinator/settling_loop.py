"""Takes all results that are there and settles them; the next are read, and the last announced, meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from logging import DEBUG

from nats.aio.msg import Msg

from services.coordinator.results import ResultReader
from services.coordinator.settler import Settler, Stored
from services.coordinator.state import Outcome
from services.coordinator.webhooks import Webhooks
from shared.bus.late_acks import LateAcks
from shared.bus.pull import Pull
from shared.contracts import subjects
from shared.logging import get_logger
from shared.tasks import end, logged, watched

log = get_logger(__name__)

#: Messages taken at once; each holds up to 500 results.
MESSAGES = 50
#: Outcomes that are read ahead of their transaction.
READ_AHEAD = 1000
#: Outcomes that one transaction settles.
BATCH = 500
#: Outputs are large or many, not both: so many bytes are read ahead, and settled at once.
READ_AHEAD_BYTES = 32 * 1024 * 1024
BATCH_BYTES = 32 * 1024 * 1024
#: Announcements that may be on their way while the next batch is settled.
IN_FLIGHT = 4
DELIVERED = subjects.node_result(subjects.WEBHOOK)


@dataclass(slots=True)
class Taken:
    """A message, acknowledged when all that stands in it is announced."""

    message: Msg
    parts: int = 0
    is_whole: bool = False
    is_announced: bool = True

    def end_part(self, is_announced: bool) -> bool:
        """True when it was the last one."""
        self.parts -= 1
        self.is_announced &= is_announced
        return self.is_whole and not self.parts


@dataclass(frozen=True, slots=True)
class Read:
    """A message, or a part of one, and what stands in it: outcomes of nodes, or of deliveries."""

    taken: Taken
    size: int
    outcomes: list[Outcome]
    deliveries: list[Outcome] = field(default_factory=list)


class SettlingLoop:
    """One transaction at a time in a process, since two would wait for each other's runs; as many processes as
    one likes."""

    def __init__(self, pull: Pull, reader: ResultReader, settler: Settler, webhooks: Webhooks) -> None:
        self._pull = pull
        self._reader = reader
        self._settler = settler
        self._webhooks = webhooks
        self._ahead: deque[Read] = deque()
        self._bytes_ahead = 0
        self._is_over = False
        self._is_read = asyncio.Event()
        self._is_taken = asyncio.Event()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._announcing: set[asyncio.Task[None]] = set()
        self._acks = LateAcks(pull)

    async def run(self) -> None:
        """Until the pull is stopped; then all that was taken has been announced and acknowledged."""
        reading, acknowledging = watched(self._read()), watched(self._acks.run())
        while batch := await self._next():
            outcomes = [outcome for read in batch for outcome in read.outcomes]
            stored = await self._settler.settle(outcomes) if outcomes else []
            if log.isEnabledFor(DEBUG):
                _tell(outcomes)
            await self._room.acquire()
            task = logged(self._announce(stored, batch))
            self._announcing.add(task)
            task.add_done_callback(self._announcing.discard)
        await reading
        if self._announcing:
            await asyncio.wait(self._announcing)
        await end([acknowledging])
        self._acks.send()

    async def _read(self) -> None:
        while messages := await self._pull.take(MESSAGES):
            for message in messages:
                await self._read_one(message)
            while sum(len(read.outcomes) for read in self._ahead) > READ_AHEAD:
                self._is_taken.clear()
                await self._is_taken.wait()
            # Whoever waits for Postgres has its turn first.
            await asyncio.sleep(0)
        self._is_over = True
        self._is_read.set()

    async def _read_one(self, message: Msg) -> None:
        """Part by part, while there is room in memory."""
        taken = Taken(message)
        is_delivery = message.subject == DELIVERED
        async for part in self._reader.read(message):
            taken.parts += 1
            taken.is_whole = part.is_last
            outcomes, deliveries = ([], part.outcomes) if is_delivery else (part.outcomes, [])
            self._ahead.append(Read(taken, part.size, outcomes, deliveries))
            self._bytes_ahead += part.size
            self._is_read.set()
            while self._bytes_ahead > READ_AHEAD_BYTES:
                self._is_taken.clear()
                await self._is_taken.wait()

    async def _next(self) -> list[Read]:
        """All that was read, as far as it fits into one transaction; empty when there will be no more."""
        while not self._ahead and not self._is_over:
            self._is_read.clear()
            await self._is_read.wait()
        batch: list[Read] = []
        count = size = 0
        while self._ahead:
            read = self._ahead[0]
            count += len(read.outcomes)
            size += read.size
            if batch and (count > BATCH or size > BATCH_BYTES):
                break
            batch.append(self._ahead.popleft())
            self._bytes_ahead -= read.size
        self._is_taken.set()
        return batch

    async def _announce(self, stored: list[Stored], batch: list[Read]) -> None:
        """Acknowledge only what was announced: the unacknowledged result is the outbox."""
        is_announced = False
        try:
            if deliveries := [outcome for read in batch for outcome in read.deliveries]:
                await self._webhooks.settle(deliveries)
            is_announced = all([await self._settler.announce(one) for one in stored])
            for read in batch:
                if any(outcome.is_refused for outcome in read.outcomes):
                    await self._reader.park(read.taken.message, "Postgres takes one of the results in no form")
        finally:
            self._room.release()
            ended = [read.taken for read in batch if read.taken.end_part(is_announced)]
            self._acks.put(taken.message for taken in ended if taken.is_announced)
            await self._pull.release([taken.message for taken in ended])


def _tell(outcomes: list[Outcome]) -> None:
    for one in outcomes:
        log.debug(
            "a result was settled", run_id=one.run_id, node_key=one.node_key, attempt=one.attempt, outcome=one.outcome
        )
