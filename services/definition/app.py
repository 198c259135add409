"""Puts a definition service together: bus, pool, answers and the catalogue; nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.definition.catalogue import NodeTypes
from services.definition.drafts import Drafts
from services.definition.graph_handlers import GraphHandlers
from services.definition.handlers import PipelineHandlers
from services.definition.patching import PatchHandlers
from services.definition.settings import DefinitionSettings
from services.definition.version_handlers import VersionHandlers
from shared.bus.connection import Bus
from shared.bus.rpc import Rpc
from shared.bus.transfers import Transfers
from shared.clock import SystemClock
from shared.postgres import Pool, make_pool
from shared.service import OnReady, run_service
from shared.tasks import Tasks

POOL_SIZE = 4


async def run(settings: DefinitionSettings, on_ready: OnReady) -> None:
    """Until SIGTERM."""
    bus = Bus(settings.nats_url, "definition")
    pool = make_pool(settings.database_url, "definition", POOL_SIZE)

    await run_service("definition", bus, pool, lambda: defining(bus, pool), settings, on_ready)


@asynccontextmanager
async def defining(bus: Bus, pool: Pool) -> AsyncIterator[None]:
    """A definition service for as long as it is entered, on a connected bus and an open pool."""
    jetstream = bus.client.jetstream(timeout=5)
    rpc = Rpc(bus.client, Transfers(jetstream))
    node_types = NodeTypes(pool, jetstream)
    watch = node_types.watch()
    bus.on_reconnect(watch.restart)
    async with Tasks([watch.run()]):
        drafts = Drafts(pool, node_types)
        pipelines, graphs = PipelineHandlers(drafts, SystemClock()), GraphHandlers(drafts)
        patches, versions = PatchHandlers(pipelines, graphs), VersionHandlers(drafts)
        endpoints = pipelines.endpoints() | graphs.endpoints() | patches.endpoints() | versions.endpoints()
        await rpc.serve(endpoints, queue="definition")
        yield
        await rpc.drain()
