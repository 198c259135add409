"""Which runs have ended: read before the first message is taken, then heard of as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.direct import read_stream
from shared.contracts import subjects
from shared.logging import get_logger

log = get_logger(__name__)

STREAM = f"KV_{subjects.ENDED_RUNS_BUCKET}"
#: Reading that failed begins anew after so long.
AGAIN_S = 1.0


class EndedRuns:
    """The ids of cancelled and failed runs, as the coordinators tell them.

    What is put into a bucket is a message like any other, so that hearing of it takes a subscription and no consumer.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ids: set[str] = set()
        self._listeners: list[Callable[[str], None]] = []
        self._is_read = asyncio.Event()
        self._is_stale = asyncio.Event()

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._ids

    def on_end(self, listener: Callable[[str], None]) -> None:
        """Called with the id of every run that ends from now on."""
        self._listeners.append(listener)

    async def wait_until_read(self) -> None:
        await self._is_read.wait()

    async def restart(self) -> None:
        """The connection is a new one: what was told meanwhile is read again."""
        self._is_stale.set()

    async def run(self) -> None:
        """Listens first, so that nothing is missed between the two."""
        await self._client.subscribe(subjects.ALL_ENDED_RUNS, cb=self._on_message)
        while True:
            self._is_stale.clear()
            try:
                async for message in read_stream(self._client, STREAM, subjects.ALL_ENDED_RUNS):
                    self._hear((message.headers or {})["Nats-Subject"], message)
            except (nats.errors.Error, TimeoutError) as error:
                words = str(error).strip() or type(error).__name__
                log.warning("the ended runs could not be read; trying again", error=words)
                await asyncio.sleep(AGAIN_S)
                continue
            self._is_read.set()
            await self._is_stale.wait()

    async def _on_message(self, message: Msg) -> None:
        self._hear(message.subject, message)

    def _hear(self, subject: str, message: Msg) -> None:
        run_id = subject.rsplit(".", 1)[1]
        if (message.headers and "KV-Operation" in message.headers) or run_id in self._ids:
            return
        self._ids.add(run_id)
        for listener in self._listeners:
            listener(run_id)
