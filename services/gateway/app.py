"""Puts a gateway together: FastAPI on uvicorn, with everything behind it reached over NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI

from services.gateway.keys import Keys
from services.gateway.openapi import Gateway
from services.gateway.problems import add_problem_handlers
from services.gateway.routes import pipelines, runs, system
from services.gateway.settings import GatewaySettings
from services.gateway.waiting import Endings
from services.gateway.wiring import Wiring
from shared.bus.connection import Bus
from shared.bus.rpc import Rpc
from shared.bus.transfers import Transfers
from shared.postgres import make_pool
from shared.service import OnReady

POOL_SIZE = 2
PREFIX = "/api/v3"


def make_app(settings: GatewaySettings, bus: Bus) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = make_pool(settings.database_url, "gateway", POOL_SIZE)
        await bus.connect()
        await pool.open(wait=True, timeout=60)
        jetstream = bus.client.jetstream(timeout=3)
        rpc = Rpc(bus.client, Transfers(jetstream))
        endings = Endings(bus.client, rpc)
        await endings.start()
        admin_key = settings.api_key.get_secret_value() if settings.api_key is not None else None
        app.state.wiring = Wiring(rpc, jetstream, endings, Keys(pool, admin_key), lambda: bus.is_connected)
        try:
            yield
        finally:
            await bus.close()
            await pool.close()

    app = Gateway(
        title="Pipewright",
        version=version("pipewright"),
        description="Node-based LLM workflows: build pipelines, run them, read what each node did.",
        lifespan=lifespan,
    )
    add_problem_handlers(app)
    for router in (system.router, pipelines.router, runs.router):
        app.include_router(router, prefix=PREFIX)
    return app


async def run(settings: GatewaySettings, on_ready: OnReady) -> None:
    """Until SIGTERM; requests that go on are answered first."""
    bus = Bus(settings.nats_url, "gateway")
    config = uvicorn.Config(
        make_app(settings, bus),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=15,
        backlog=2048,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if not serving.done():
        on_ready()
    await serving
