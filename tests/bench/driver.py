"""Starts runs as an internal service does, and waits for their ends by the events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
from nats.aio.msg import Msg

from shared.bus.arrivals import subscribe
from shared.client import PipewrightClient
from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.runs import Run
from tests.bench.graphs import Document

#: A bench that takes longer is broken.
LIMIT_S = 300.0
#: Runs that are asked for before the first requests leave.
AT_ONCE = 25


class Driver:
    """Counts the runs that ended; a run that failed ends the bench. It does little itself: what is measured is the
    other side, and the client's own cost of a start."""

    def __init__(self, client: PipewrightClient) -> None:
        self.client = client
        self._ended: dict[str, float] = {}
        self._failed: list[dict[str, Any]] = []
        self._arrived = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def connect(cls, nats_url: str) -> AsyncIterator[Driver]:
        async with PipewrightClient.connect(nats_url) as client:
            driver = cls(client)
            for kind in ("completed", "failed", "cancelled"):
                await subscribe(client.nats, subjects.run_event(kind), driver._on_end)  # type: ignore[arg-type]
            yield driver

    def _on_end(self, message: Msg) -> None:
        event = orjson.loads(message.data)
        self._ended[event["run_id"]] = time.perf_counter()
        if event["status"] != "completed":
            self._failed.append(event)
        self._arrived.set()

    async def apply(self, document: Document) -> str:
        slug: str = document["slug"]
        await self.client.apply(document)
        return slug

    async def run(self, pipeline: str, count: int = 1) -> tuple[list[UUID], float]:
        """Start so many runs at once; their ids, and the seconds until all had ended."""
        run_ids = [new_id() for _ in range(count)]
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number, run_id in enumerate(run_ids, start=1):
                group.create_task(self.client.run(pipeline, {"n": number}, run_id=run_id))
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)
        await self.wait(run_ids)
        return run_ids, max(self._ended[str(run_id)] for run_id in run_ids) - began

    async def wait(self, run_ids: list[UUID]) -> None:
        async with asyncio.timeout(LIMIT_S):
            for run_id in map(str, run_ids):
                while run_id not in self._ended:
                    self._arrived.clear()
                    await self._arrived.wait()
        if self._failed:
            failed = self._failed[0]
            raise RuntimeError(f"run {failed['run_id']} ended as {failed['status']}: {failed['error']}")

    async def read(self, run_id: UUID) -> Run:
        return await self.client.get_run(run_id, include_node_results=True)
