"""A definition service, coordinators and a worker played by hand, on real NATS and Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from nats.js import JetStreamContext
from psycopg.rows import dict_row

from services.coordinator.app import coordinating
from services.coordinator.settings import CoordinatorSettings
from services.definition.app import defining
from shared.bus.connection import Bus
from shared.client import PipewrightClient
from shared.contracts.runs import Run
from shared.contracts.states import RunStatus
from shared.postgres import make_pool
from tests.eventually import eventually
from tests.integration.hand_worker import HandWorker

SECRET = "a secret of at least thirty-two characters"

Edges = Sequence[tuple[str, str] | tuple[str, str, str]]


@dataclass
class Engine:
    """What a test holds in its hands."""

    nats_url: str
    database_url: str
    client: PipewrightClient
    worker: HandWorker
    jetstream: JetStreamContext

    @classmethod
    @asynccontextmanager
    async def started(cls, nats_url: str, database_url: str, *, has_coordinator: bool = True) -> AsyncIterator[Engine]:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(PipewrightClient.connect(nats_url))
            worker = HandWorker(client.nats)
            engine = cls(nats_url, database_url, client, worker, worker.jetstream)
            await worker.announce()
            await stack.enter_async_context(engine.definition())
            await worker.subscribe()
            if has_coordinator:
                await stack.enter_async_context(engine.coordinator())
            yield engine

    @asynccontextmanager
    async def definition(self) -> AsyncIterator[None]:
        bus, pool = Bus(self.nats_url, "definition"), make_pool(self.database_url, "definition")
        await bus.connect()
        await pool.open(wait=True)
        try:
            async with defining(bus, pool):
                yield
        finally:
            await bus.close()
            await pool.close()

    @asynccontextmanager
    async def coordinator(self, **settings: Any) -> AsyncIterator[None]:
        """One more coordinator; leases of 5 s and a sweep every 100 ms unless told otherwise."""
        values = {"secret": SECRET, "lease_s": 5.0, "sweep_s": 0.1} | settings
        bus, pool = (
            Bus(self.nats_url, "coordinator"),
            make_pool(self.database_url, "coordinator", 8, prepares_itself=True),
        )
        await bus.connect()
        await pool.open(wait=True)
        try:
            async with coordinating(bus, pool, CoordinatorSettings.model_validate(values)):
                yield
        finally:
            await bus.close()
            await pool.close()

    async def apply(self, slug: str, keys: str, edges: Edges = (), **more: dict[str, Any]) -> None:
        """A pipeline of steps with these one-letter keys; `more` adds fields to single nodes."""
        nodes = [{"key": key, "type": "step", "config": {"say": key}} | more.get(key, {}) for key in keys]
        names = ("source", "target", "branch")
        document = {
            "name": slug,
            "slug": slug,
            "nodes": nodes,
            "edges": [dict(zip(names, edge, strict=False)) for edge in edges],
        }
        await self.client.apply(document)

    async def start(self, slug: str, run_input: dict[str, Any] | None = None) -> UUID:
        return (await self.client.run(slug, run_input)).run_id

    async def read(self, run_id: UUID) -> Run:
        return await self.client.get_run(run_id, include_node_results=True)

    async def statuses(self, run_id: UUID) -> dict[str, str]:
        return {node.node_key: node.status.value for node in (await self.read(run_id)).node_results or []}

    async def ends(self, run_id: UUID, status: RunStatus = RunStatus.COMPLETED) -> Run:
        """Wait for its end."""
        await self.client.wait(run_id, 30)
        run = await self.read(run_id)
        assert run.status is status, run
        return run

    async def settled(self) -> None:
        """Until the coordinators have acknowledged every result."""

        async def is_empty() -> bool:
            return (await self.jetstream.stream_info("NODE_RESULTS")).state.messages == 0

        await eventually(is_empty, "the results' acknowledgement")

    async def query(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """Look into the database as nobody else may."""
        async with await psycopg.AsyncConnection.connect(
            self.database_url, autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = await connection.execute(statement.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    async def parked(self, kind: str) -> int:
        info = await self.jetstream.stream_info("DEAD_LETTERS", subjects_filter=f"pipewright.dead.{kind}")
        return sum((info.state.subjects or {}).values())
