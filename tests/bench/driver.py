"""Starts runs as an internal service does, and waits for their ends by the events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from nats.aio.msg import Msg

from shared.client import PipewrightClient
from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.runs import Run, RunEvent
from tests.bench.graphs import Document

#: A bench that takes longer is broken.
LIMIT_S = 300.0


class Driver:
    """Counts the runs that ended; a run that failed ends the bench."""

    def __init__(self, client: PipewrightClient) -> None:
        self.client = client
        self._ended: dict[UUID, float] = {}
        self._failed: list[RunEvent] = []
        self._arrived = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def connect(cls, nats_url: str) -> AsyncIterator[Driver]:
        async with PipewrightClient.connect(nats_url) as client:
            driver = cls(client)
            for kind in ("completed", "failed", "cancelled"):
                await client.nats.subscribe(subjects.run_event(kind), cb=driver._on_end)  # type: ignore[arg-type]
            yield driver

    async def _on_end(self, message: Msg) -> None:
        event = RunEvent.model_validate_json(message.data)
        self._ended[event.run_id] = time.perf_counter()
        if event.status != "completed":
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
        starts = (
            self.client.run(pipeline, {"n": number}, run_id=run_id) for number, run_id in enumerate(run_ids, start=1)
        )
        await asyncio.gather(*starts)
        await self.wait(run_ids)
        return run_ids, max(self._ended[run_id] for run_id in run_ids) - began

    async def wait(self, run_ids: list[UUID]) -> None:
        missing = set(run_ids)
        async with asyncio.timeout(LIMIT_S):
            while missing := missing - self._ended.keys():
                self._arrived.clear()
                await self._arrived.wait()
        if self._failed:
            raise RuntimeError(
                f"run {self._failed[0].run_id} ended as {self._failed[0].status}: {self._failed[0].error}"
            )

    async def read(self, run_id: UUID) -> Run:
        return await self.client.get_run(run_id, include_node_results=True)
