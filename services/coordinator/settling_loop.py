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
from shared.bus.pull import Pull
from shared.contracts import subjects
from shared.logging import get_logger
from shared.tasks import logged, watched

log = get_logger(__name__)

#: Messages taken at once; each holds up to 500 results.
MESSAGES = 50
#: Outcomes that are read ahead of their transaction.
READ_AHEAD = 1000
#: Outcomes that one transaction settles.
BATCH = 500
#: Announcements that may be on their way while the next batch is settled.
IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class Read:
    """A message and what stands in it: outcomes of nodes, or of deliveries."""

    message: Msg
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
        self._is_over = False
        self._is_read = asyncio.Event()
        self._is_taken = asyncio.Event()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._announcing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the pull is stopped; then all that was taken has been announced."""
        reading = watched(self._read())
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

    async def _read(self) -> None:
        while messages := await self._pull.take(MESSAGES):
            for message in messages:
                self._ahead.append(await self._read_one(message))
                self._is_read.set()
            while sum(len(read.outcomes) for read in self._ahead) > READ_AHEAD:
                self._is_taken.clear()
                await self._is_taken.wait()
            # Whoever waits for Postgres has its turn first.
            await asyncio.sleep(0)
        self._is_over = True
        self._is_read.set()

    async def _read_one(self, message: Msg) -> Read:
        outcomes = await self._reader.read(message)
        is_delivery = message.subject == subjects.node_result(subjects.WEBHOOK)
        return Read(message, [], outcomes) if is_delivery else Read(message, outcomes)

    async def _next(self) -> list[Read]:
        """All that was read, as far as it fits into one transaction; empty when there will be no more."""
        while not self._ahead and not self._is_over:
            self._is_read.clear()
            await self._is_read.wait()
        batch: list[Read] = []
        count = 0
        while self._ahead and (not batch or count + len(self._ahead[0].outcomes) <= BATCH):
            batch.append(self._ahead.popleft())
            count += len(batch[-1].outcomes)
        self._is_taken.set()
        return batch

    async def _announce(self, stored: list[Stored], batch: list[Read]) -> None:
        """Acknowledge only what was announced: the unacknowledged result is the outbox."""
        try:
            if deliveries := [outcome for read in batch for outcome in read.deliveries]:
                await self._webhooks.settle(deliveries)
            announced = [await self._settler.announce(one) for one in stored]
            if all(announced):
                for read in batch:
                    if any(outcome.is_refused for outcome in read.outcomes):
                        await self._reader.park(read.message, "Postgres takes one of the results in no form")
                    await read.message.ack()
        finally:
            self._room.release()
            await self._pull.release(len(batch))


def _tell(outcomes: list[Outcome]) -> None:
    for one in outcomes:
        log.debug(
            "a result was settled", run_id=one.run_id, node_key=one.node_key, attempt=one.attempt, outcome=one.outcome
        )
