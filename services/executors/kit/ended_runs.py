"""Which runs have ended: read before the first message is taken, then watched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from shared.bus.watch import BucketWatch
from shared.contracts import subjects


class EndedRuns:
    """The ids of cancelled and failed runs, as the coordinators tell them."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream
        self._ids: set[str] = set()
        self._listeners: list[Callable[[str], None]] = []
        self._is_read = asyncio.Event()

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._ids

    def on_end(self, listener: Callable[[str], None]) -> None:
        """Called with the id of every run that ends from now on."""
        self._listeners.append(listener)

    async def wait_until_read(self) -> None:
        await self._is_read.wait()

    def watch(self) -> BucketWatch:
        """Tells of ended runs for as long as it runs."""
        return BucketWatch(self._jetstream, subjects.ENDED_RUNS_BUCKET, self._hear)

    async def _hear(self, entry: KeyValue.Entry | None) -> None:
        if entry is None:
            self._is_read.set()
        elif entry.operation is None:
            self._add(entry.key)

    def _add(self, run_id: str) -> None:
        self._ids.add(run_id)
        for listener in self._listeners:
            listener(run_id)
