"""Which runs have ended: read before the first message is taken, then heard of as they are told."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.direct import read_stream
from shared.bus.flushing import flush
from shared.contracts import subjects
from shared.errors import words_of
from shared.logging import get_logger

log = get_logger(__name__)

#: Reading that failed begins anew after so long.
AGAIN_S = 1.0
#: The bucket forgets after a day, and so does the worker: no message of a run is older than its timeouts and retries.
KNOWN_S = 24 * 3600.0
#: How often this process looks at the clock; one that has not looked for longer than the second slept.
LOOK_EVERY_S = 0.5
SLEPT_S = 1.0


class EndedRuns:
    """The ids of cancelled and failed runs, as the coordinators tell them.

    What is put into a bucket is a message like any other, so that hearing of it takes a subscription and no consumer.
    """

    def __init__(self, client: Client, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now = now
        self._ids: set[str] = set()
        #: When each was heard of, oldest first.
        self._heard: deque[tuple[float, str]] = deque()
        self._listeners: list[Callable[[str], None]] = []
        self._is_read = asyncio.Event()
        self._is_stale = asyncio.Event()
        #: Which connection the bucket was read on.
        self._connection = -1
        self._looked_at = now()
        #: How often it slept, and how often it had when it began to catch up.
        self._sleeps = 0
        self._caught_up = 0

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._ids

    @property
    def is_current(self) -> bool:
        """False when ends may have been told that were not heard: on a new connection, and after this process slept.

        Work that has arrived by then may be older than the end of its run.
        """
        if not self._is_read.is_set() or self._connection != self._client.stats["reconnects"]:
            return False
        return self._caught_up == self._sleeps and not self._sleeps_now()

    def on_end(self, listener: Callable[[str], None]) -> None:
        """Called with the id of every run that ends from now on."""
        self._listeners.append(listener)

    async def wait_until_read(self) -> None:
        await self._is_read.wait()

    async def catch_up(self, timeout_s: float) -> bool:
        """Hear everything that was told before this call; False when that takes longer, or when this process slept
        meanwhile: the answer that it hears then may be older than what was told in its sleep."""
        self._look()
        sleeps = self._sleeps
        try:
            async with asyncio.timeout(timeout_s):
                while not self._client.is_connected:
                    # Without a connection `flush` comes back at once, and well.
                    await asyncio.sleep(LOOK_EVERY_S)
                if self._connection != self._client.stats["reconnects"]:
                    await self.restart()
                await self._is_read.wait()
                # What was sent before the answer to a ping arrives before it.
                await flush(self._client)
        except (nats.errors.Error, TimeoutError):
            return False
        self._look()
        self._caught_up = max(self._caught_up, sleeps)
        return self.is_current

    async def restart(self) -> None:
        """The connection is a new one: what was told meanwhile is read again."""
        self._is_read.clear()
        self._is_stale.set()

    async def run(self) -> None:
        """Listens first, so that nothing is missed between the two."""
        await self._client.subscribe(subjects.ALL_ENDED_RUNS, cb=self._on_message)
        while True:
            self._is_stale.clear()
            connection = self._client.stats["reconnects"]
            try:
                async for message in read_stream(self._client, subjects.ENDED_RUNS_STREAM, subjects.ALL_ENDED_RUNS):
                    self._hear((message.headers or {})["Nats-Subject"], message)
            except (nats.errors.Error, TimeoutError) as error:
                log.warning("the ended runs could not be read; trying again", error=words_of(error))
                await asyncio.sleep(AGAIN_S)
                continue
            self._connection = connection
            self._is_read.set()
            await self._is_stale.wait()

    async def notice_sleep(self) -> None:
        """Looks at the clock; a look that comes late means that this process was frozen, or its machine slept."""
        while True:
            self._look()
            await asyncio.sleep(LOOK_EVERY_S)

    def _look(self) -> None:
        self._sleeps += self._sleeps_now()
        self._looked_at = self._now()

    def _sleeps_now(self) -> bool:
        return self._now() - self._looked_at > SLEPT_S

    async def _on_message(self, message: Msg) -> None:
        self._hear(message.subject, message)

    def _hear(self, subject: str, message: Msg) -> None:
        run_id = subject.rsplit(".", 1)[1]
        if (message.headers and "KV-Operation" in message.headers) or run_id in self._ids:
            return
        self._forget()
        self._ids.add(run_id)
        self._heard.append((self._now(), run_id))
        for listener in self._listeners:
            listener(run_id)

    def _forget(self) -> None:
        while self._heard and self._now() - self._heard[0][0] > KNOWN_S:
            self._ids.discard(self._heard.popleft()[1])
