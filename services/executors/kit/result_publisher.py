"""Sends what is finished at once, in one message for all that finished meanwhile, and then acknowledges the work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from nats.aio.msg import Msg

from shared.bus.publish import Outgoing, Publisher
from shared.bus.pull import Pull
from shared.bus.transfers import MESSAGE_LIMIT
from shared.contracts import subjects
from shared.logging import get_logger

log = get_logger(__name__)

#: Results in one message.
MOST_RESULTS = 500
#: Messages on their way while further results are collected.
IN_FLIGHT = 4
TRY_AGAIN_S = 0.5


class Finished(NamedTuple):
    """A piece of work that is done; without a body when nobody wants the result."""

    message: Msg
    body: bytes | None


class ResultPublisher:
    """The results of one node type; the work stays unacknowledged until its result is kept."""

    def __init__(self, publisher: Publisher, pull: Pull, node_type: str, worker: str) -> None:
        self._publisher = publisher
        self._pull = pull
        self._subject = subjects.node_result(node_type)
        self._worker = worker
        self._waiting: list[Finished] = []
        self._arrived = asyncio.Event()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._sending: set[asyncio.Task[None]] = set()

    def put(self, finished: Sequence[Finished]) -> None:
        self._waiting += finished
        self._arrived.set()

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            await self._room.acquire()
            batch = self._take()
            if not self._waiting:
                self._arrived.clear()
            task = asyncio.create_task(self._send(batch))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def drain(self) -> None:
        """Wait until all results are kept and all work is acknowledged."""
        while self._waiting or self._sending:
            await asyncio.wait(self._sending or {asyncio.create_task(asyncio.sleep(0))})

    def _take(self) -> list[Finished]:
        """As many as fit into one message."""
        size = count = 0
        for finished in self._waiting[:MOST_RESULTS]:
            size += len(finished.body or b"") + 1
            if count and size > MESSAGE_LIMIT:
                break
            count += 1
        batch = self._waiting[:count]
        del self._waiting[:count]
        return batch

    async def _send(self, batch: list[Finished]) -> None:
        try:
            results = [orjson.Fragment(finished.body) for finished in batch if finished.body is not None]
            if results:
                await self._publish(orjson.dumps({"worker": self._worker, "results": results}))
            for finished in batch:
                await finished.message.ack()
        finally:
            self._room.release()
            await self._pull.release(len(batch))

    async def _publish(self, body: bytes) -> None:
        """Until the stream has acknowledged it, however long NATS is away."""
        message: list[Any] = [Outgoing(self._subject, body)]
        while await self._publisher.publish(message):
            log.warning("results were not acknowledged; sending them again", subject=self._subject)
            await asyncio.sleep(TRY_AGAIN_S)
