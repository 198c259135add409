"""Tells, every 3 s, that work is still being done: the server, so that it is not delivered again, and the
coordinators, so that they extend its lease."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.contracts import subjects
from shared.contracts.nodes import NodeReady
from shared.errors import words_of
from shared.logging import get_logger

log = get_logger(__name__)

BEAT_S = 3.0
#: Work that is done sooner needs no lease.
LEASED_AFTER_S = 1.0


@dataclass(slots=True)
class Held:
    """A piece of work that this worker has, until its result is kept."""

    message: Msg
    ready: NodeReady
    started_at: datetime
    #: By the clock of the event loop; work that goes on after it heeds neither its timeout nor its cancellation.
    deadline: float
    task: asyncio.Task[None] | None = None
    #: Its result is on the way.
    is_done: bool = False


async def _keep(messages: Iterable[Msg]) -> None:
    """Tell the server that these are not lost, so that it delivers them to nobody else."""
    try:
        for message in messages:
            # It may have been acknowledged while the ones before it were told of.
            with suppress(nats.errors.MsgAlreadyAckdError):
                await message.in_progress()
    except (nats.errors.Error, TimeoutError) as error:
        log.warning("a beat was not sent", error=words_of(error))


class Beats:
    """The work that one node type's loop holds."""

    def __init__(
        self,
        client: Client,
        node_type: str,
        worker: str,
        delivered: Callable[[], Iterable[Msg]],
        give_up: Callable[[Held], None],
    ) -> None:
        """`delivered` tells all messages that this worker has, begun or not; `give_up` is called with work that is
        past its deadline."""
        self._client = client
        self._subject = subjects.node_running(node_type)
        self._worker = worker
        self._delivered = delivered
        self._give_up = give_up
        self._held: dict[int, Held] = {}

    def add(self, held: Held) -> None:
        self._held[id(held)] = held

    def remove(self, held: Held) -> None:
        self._held.pop(id(held), None)

    def of_run(self, run_id: str) -> list[Held]:
        return [held for held in self._held.values() if held.ready.run_id == run_id]

    def __len__(self) -> int:
        return len(self._held)

    def all(self) -> list[Held]:
        return list(self._held.values())

    async def run(self) -> None:
        """The first lease a second after work began, then every 3 s."""
        while True:
            for tick in range(3):
                await asyncio.sleep(BEAT_S / 3)
                self._end_overdue()
                if tick == 2:
                    await _keep(self._delivered())
                try:
                    await self._lease(is_full=tick == 2)
                except (nats.errors.Error, TimeoutError) as error:
                    log.warning("a lease was not told", error=words_of(error))

    def _end_overdue(self) -> None:
        now = asyncio.get_running_loop().time()
        for held in self.all():
            if now > held.deadline and not held.is_done:
                self._give_up(held)

    async def _lease(self, is_full: bool) -> None:
        now = datetime.now(UTC)
        attempts = []
        for held in self.all():
            age_s = (now - held.started_at).total_seconds()
            if age_s >= LEASED_AFTER_S and (is_full or age_s < LEASED_AFTER_S + BEAT_S / 3):
                attempts.append(
                    {
                        "run_id": held.ready.run_id,
                        "node_key": held.ready.node_key,
                        "attempt": held.ready.attempt,
                        "started_at": held.started_at,
                    }
                )
        if attempts:
            await self._client.publish(self._subject, orjson.dumps({"worker": self._worker, "attempts": attempts}))
