"""Puts a gateway together: FastAPI on uvicorn, with everything behind it reached over NATS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from services.gateway.docs_page import add_docs_page
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
from shared.postgres import Pool, make_pool
from shared.readiness import Readiness
from shared.service import OnReady, run_service
from shared.serving import Server
from shared.tasks import Tasks

POOL_SIZE = 2
#: Bytes; smaller answers are not worth it.
COMPRESSED_FROM = 2048
#: How long a stopping gateway answers the requests that go on.
STOP_S = 15
#: Longer than a proxy keeps an idle connection, mostly 60 s, so that none sends a request on one that ends here.
KEEP_ALIVE_S = 75
#: Connections that wait to be taken.
BACKLOG = 2048

#: What is asked for most stands first: a request is compared with one route after the other.
ROUTERS = (
    runs.router,
    pipelines.router,
    nodes.router,
    versions.router,
    run_actions.router,
    node_results.router,
    events.router,
    webhook_routes.router,
    key_routes.router,
    system.router,
)
#: The order in which the document shows them.
TAGS = (
    "pipelines",
    "nodes and edges",
    "versions",
    "pipeline_runs",
    "node_results",
    "events",
    "webhooks",
    "api_keys",
    "system",
)


def make_app(settings: GatewaySettings) -> FastAPI:
    app = Gateway(
        title="Pipewright",
        version=version("pipewright"),
        description="Node-based LLM workflows: build pipelines, run them, read what each node did.",
        generate_unique_id_function=operation_id,
        openapi_tags=[{"name": name} for name in TAGS],
        docs_url=None,
        redoc_url=None,
    )
    add_problem_handlers(app)
    _add_middleware(app, settings)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    add_docs_page(app)
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


async def run(settings: GatewaySettings, on_ready: OnReady) -> None:
    """Until SIGTERM; requests that go on are answered first."""
    bus = Bus(settings.nats_url, "gateway")
    pool = make_pool(settings.database_url, "gateway", POOL_SIZE)
    readiness = Readiness(bus, pool)

    def body() -> AbstractAsyncContextManager[None]:
        return _answering(settings, bus, pool, readiness)

    await run_service("gateway", bus, pool, body, settings, on_ready, readiness)


@asynccontextmanager
async def _answering(settings: GatewaySettings, bus: Bus, pool: Pool, readiness: Readiness) -> AsyncIterator[None]:
    """The API for as long as it is entered, on a connected bus and an open pool."""
    jetstream = bus.client.jetstream(timeout=3)
    rpc = Rpc(bus.client, Transfers(jetstream))
    endings = Endings(bus.client, rpc)
    await endings.start()
    admin_key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    keys = Keys(pool, admin_key)
    rate_limit = RateLimit(settings.rate_limit_per_s)
    app = make_app(settings)
    server = Server(
        app,
        settings.host,
        settings.port,
        timeout_graceful_shutdown=STOP_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        backlog=BACKLOG,
    )
    app.state.wiring = Wiring(rpc, jetstream, endings, keys, Feed(bus.client), readiness, rate_limit)
    # Streams that would go on for ever end by themselves, so that a stop need not wait for them.
    app.state.is_stopping = lambda: server.should_exit
    async with Tasks([keys.last_uses.run()]), server.running():
        yield
