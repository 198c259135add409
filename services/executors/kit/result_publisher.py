"""Sends what is finished at once, in one message for all that finished meanwhile, and then acknowledges the work: what
is fast a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson
from nats.aio.msg import Msg

from services.executors.kit.beats import Held
from services.executors.kit.errors import PermanentNodeError
from services.executors.kit.outcomes import failed
from shared.bus.late_acks import LateAcks
from shared.bus.publish import Outgoing, Publisher, Sending
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
#: Bytes around the results of a message, at most.
ENVELOPE = 1024


class Finished(NamedTuple):
    """A piece of work that is done; without a body when nobody wants the result."""

    message: Msg
    body: bytes | None
    #: Goes on telling that a worker has it until the result is kept; None for fast work, of which nothing is told.
    held: Held | None = None


class ResultPublisher:
    """The results of one node type; the work stays unacknowledged until its result is kept."""

    def __init__(
        self, publisher: Publisher, pull: Pull, node_type: str, worker: str, on_kept: Callable[[Held], None]
    ) -> None:
        """`on_kept` is called when the result of held work is kept and the work is acknowledged."""
        self._publisher = publisher
        self._on_kept = on_kept
        self._pull = pull
        self._subject = subjects.node_result(node_type)
        self._worker = worker
        self._waiting: list[Finished] = []
        self._is_due = False
        self._sending: set[asyncio.Task[None]] = set()
        #: Of work that may be done again without harm: it had no effect but its result.
        self.late_acks = LateAcks(pull)

    def put(self, finished: Sequence[Finished]) -> None:
        self._waiting += finished
        self._send_soon()

    def _send_soon(self) -> None:
        """With all else that finishes in this step of the event loop."""
        if self._waiting and not self._is_due and len(self._sending) < IN_FLIGHT:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send_next)

    def _send_next(self) -> None:
        self._is_due = False
        batch = self._take()
        bodies = [finished.body for finished in batch if finished.body is not None]
        message = [Outgoing(self._subject, self._encode(bodies))] if bodies else []
        task = asyncio.create_task(self._keep(batch, message, self._publisher.send(message)))
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._send_soon()

    async def drain(self) -> None:
        """Wait until all results are kept and all work is acknowledged."""
        while self._waiting or self._sending:
            await asyncio.wait(self._sending or {asyncio.create_task(asyncio.sleep(0))})
        self.late_acks.send()

    def _take(self) -> list[Finished]:
        """As many as fit into one message."""
        limit = min(MESSAGE_LIMIT, self._publisher.most_bytes - ENVELOPE)
        size = count = 0
        for finished in self._waiting[:MOST_RESULTS]:
            size += len(finished.body or b"") + 1
            if count and size > limit:
                break
            count += 1
        batch = self._waiting[:count]
        del self._waiting[:count]
        return batch

    async def _keep(self, batch: list[Finished], message: list[Outgoing], sending: Sending) -> None:
        try:
            await self._publish(message, sending)
            self.late_acks.put(finished.message for finished in batch if finished.held is None)
            for finished in batch:
                if finished.held is not None:
                    await finished.message.ack()
                    self._on_kept(finished.held)
        finally:
            await self._pull.release([finished.message for finished in batch])

    async def _publish(self, message: list[Outgoing], sending: Sending) -> None:
        """Until the stream has acknowledged it, however long NATS is away."""
        while await self._publisher.finish(sending):
            log.warning("results were not acknowledged; sending them again", subject=self._subject)
            await asyncio.sleep(TRY_AGAIN_S)
            sending = self._publisher.send(message)

    def _encode(self, bodies: list[bytes]) -> bytes:
        message = orjson.dumps({"worker": self._worker, "results": [orjson.Fragment(body) for body in bodies]})
        limit = self._publisher.most_bytes
        if len(message) <= limit:
            return message
        # A server that takes less than is usual refuses this one, and always will.
        return orjson.dumps({"worker": self._worker, "results": [_without_output(body, limit) for body in bodies]})


def _without_output(body: bytes, limit: int) -> dict[str, Any]:
    """A result that is too large for the server, as a failure that says so."""
    message = f"The result has {len(body)} bytes, and the NATS server takes {limit}. Raise its max_payload to 1MB."
    result: dict[str, Any] = orjson.loads(body)
    return result | {"outcome": failed(PermanentNodeError("output_too_large", message)), "metadata": {}}
