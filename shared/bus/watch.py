"""Watches a key-value bucket over reconnects: what is there, then every change, and all anew when needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from shared.errors import words_of
from shared.logging import get_logger
from shared.tasks import end

log = get_logger(__name__)

#: A watch that failed begins anew after so long.
AGAIN_S = 1.0
#: nats-py leaves a watcher's consumer on the server, which forgets it when nobody listened for so long.
FORGET_S = 30.0

OnEntry = Callable[[KeyValue.Entry], Awaitable[None]]


class BucketWatch:
    """Tells `on_entry` of every entry of a bucket."""

    def __init__(
        self,
        jetstream: JetStreamContext,
        bucket: str,
        on_entry: OnEntry,
        passing: tuple[type[Exception], ...] = (),
    ) -> None:
        """`passing` are errors of `on_entry` after which the watch begins anew."""
        self._jetstream = jetstream
        self._bucket = bucket
        self._on_entry = on_entry
        self._passing: tuple[type[Exception], ...] = (nats.errors.Error, nats.js.errors.Error, TimeoutError, *passing)
        self._is_stale = asyncio.Event()

    async def restart(self) -> None:
        """The connection is a new one: what was told meanwhile is read again."""
        self._is_stale.set()

    async def run(self) -> None:
        while True:
            try:
                await self._watch()
            except self._passing as error:
                log.warning("a bucket could not be watched; trying again", bucket=self._bucket, error=words_of(error))
                await asyncio.sleep(AGAIN_S)

    async def _watch(self) -> None:
        """Until the connection is a new one."""
        bucket = await self._jetstream.key_value(self._bucket)
        self._is_stale.clear()
        watcher = await bucket.watchall(inactive_threshold=FORGET_S)
        telling = asyncio.create_task(self._tell(watcher))
        ending = asyncio.create_task(self._is_stale.wait())
        try:
            await asyncio.wait({telling, ending}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
        finally:
            await end([telling, ending])
            # Its error would take the place of a cancellation.
            with suppress(nats.errors.Error):
                await watcher.stop()  # type: ignore[no-untyped-call]  # nats-py names no types here

    async def _tell(self, watcher: KeyValue.KeyWatcher) -> None:
        async for entry in watcher:
            # None says that all that was there has been told; it may come too early.
            if entry is not None:
                await self._on_entry(entry)
