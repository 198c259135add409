"""Takes all results that are there, settles them, and announces while the next batch is in Postgres."""

from __future__ import annotations

import asyncio

from nats.aio.msg import Msg

from services.coordinator.results import ResultReader
from services.coordinator.settler import Settled, Settler
from services.coordinator.state import Outcome
from shared.bus.pull import Pull
from shared.logging import get_logger

log = get_logger(__name__)

#: Messages taken at once; each holds up to 500 results.
MESSAGES = 250
#: Announcements that may be on their way while the next batch is settled.
IN_FLIGHT = 4


class SettlingLoop:
    """One at a time in a process; as many processes as one likes."""

    def __init__(self, pull: Pull, reader: ResultReader, settler: Settler) -> None:
        self._pull = pull
        self._reader = reader
        self._settler = settler
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._announcing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the pull is stopped; then all that was taken has been announced."""
        while messages := await self._pull.take(MESSAGES):
            outcomes: list[Outcome] = []
            for message in messages:
                outcomes += await self._reader.read(message)
            settled = await self._settler.settle(outcomes) if outcomes else []
            await self._room.acquire()
            task = asyncio.create_task(self._announce(settled, messages))
            self._announcing.add(task)
            task.add_done_callback(self._announcing.discard)
        if self._announcing:
            await asyncio.wait(self._announcing)

    async def _announce(self, settled: list[Settled], messages: list[Msg]) -> None:
        """Acknowledge only what was announced: the unacknowledged result is the outbox."""
        try:
            announced = [await self._settler.announce(one) for one in settled]
            if all(announced):
                for message in messages:
                    await message.ack()
        finally:
            self._room.release()
            await self._pull.release(len(messages))
