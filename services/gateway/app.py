"""Puts a gateway together: FastAPI on uvicorn, with everything behind it reached over NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from services.gateway.feed import Feed
from services.gateway.jsonapi.middleware import add_jsonapi
from services.gateway.keys import Keys
from services.gateway.metrics import RequestMetrics
from services.gateway.openapi.document import Gateway, operation_id
from services.gateway.problems import add_problem_handlers
from services.gateway.rate_limit import RateLimit
from services.gateway.routes import events, node_results, nodes, pipelines, run_actions, runs, system, versions
from services.gateway.routes import keys as key_routes
from services.gateway.routes import webhooks as webhook_routes
from services.gateway.settings import GatewaySettings
from services.gateway.traces import RequestTraces
from services.gateway.waiting import Endings
from services.gateway.wiring import Wiring
from shared.bus.connection import Bus
from shared.bus.rpc import Rpc
from shared.bus.transfers import Transfers
from shared.contracts.rest import PREFIX
from shared.health import serving_health
from shared.logging import toggle_debug_on_signal
from shared.metrics import watch_pool
from shared.postgres import make_pool, open_pool
from shared.readiness import Readiness
from shared.service import OnReady, watching
from shared.tasks import Tasks
from shared.tracing import tracing

POOL_SIZE = 2
#: Bytes; smaller answers are not worth it.
COMPRESSED_FROM = 2048


ROUTERS = (
    system.router,
    pipelines.router,
    runs.router,
    nodes.router,
    versions.router,
    run_actions.router,
    node_results.router,
    events.router,
    webhook_routes.router,
    key_routes.router,
)


def make_app(settings: GatewaySettings, bus: Bus) -> FastAPI:
    app = Gateway(
        title="Pipewright",
        version=version("pipewright"),
        description="Node-based LLM workflows: build pipelines, run them, read what each node did.",
        lifespan=lambda app: _connected(app, settings, bus),
        generate_unique_id_function=operation_id,
    )
    add_problem_handlers(app)
    _add_middleware(app, settings)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    return app


def _add_middleware(app: FastAPI, settings: GatewaySettings) -> None:
    """The last one added is the outermost: what JSON:API refuses by itself is counted and traced too."""
    add_jsonapi(app)
    app.add_middleware(RequestTraces)
    app.add_middleware(RequestMetrics)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_FROM)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["ETag", "Location", "Retry-After"],
        )


@asynccontextmanager
async def _connected(app: FastAPI, settings: GatewaySettings, bus: Bus) -> AsyncIterator[None]:
    """What the routes use, for as long as the gateway serves."""
    pool = make_pool(settings.database_url, "gateway", POOL_SIZE)
    await bus.connect()
    await open_pool(pool)
    jetstream = bus.client.jetstream(timeout=3)
    rpc = Rpc(bus.client, Transfers(jetstream))
    endings = Endings(bus.client, rpc)
    await endings.start()
    admin_key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    keys = Keys(pool, admin_key)
    rate_limit = RateLimit(settings.rate_limit_per_s)
    readiness = Readiness(bus, pool)
    app.state.wiring = Wiring(rpc, jetstream, endings, keys, Feed(bus.client), readiness, rate_limit)
    watch_pool(pool.get_stats)
    try:
        async with (
            serving_health(readiness, settings.health_host, settings.health_port),
            watching(bus, pool, readiness),
            Tasks([keys.last_uses.run()]),
        ):
            yield
    finally:
        await bus.close()
        await pool.close()


async def run(settings: GatewaySettings, on_ready: OnReady) -> None:
    """Until SIGTERM; requests that go on are answered first."""
    toggle_debug_on_signal()
    with tracing("gateway", settings):
        await _serve(settings, on_ready)


async def _serve(settings: GatewaySettings, on_ready: OnReady) -> None:
    bus = Bus(settings.nats_url, "gateway")
    app = make_app(settings, bus)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=15,
        backlog=2048,
    )
    server = uvicorn.Server(config)
    # Streams that would go on for ever end by themselves, so that a stop need not wait for them.
    app.state.is_stopping = lambda: server.should_exit
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if not serving.done():
        on_ready()
    await serving
