"""How a service lives: connect, start its loops, tell that it is ready, and end cleanly on a signal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress

from faststream import FastStream

from shared.bus.connection import Bus
from shared.greeting import nats_greets, postgres_greets
from shared.health import serving_health
from shared.logging import get_logger, toggle_debug_on_signal
from shared.metrics import count_loop, watch_pool
from shared.postgres import STATEMENT_TIMEOUT_MS, Pool, opened
from shared.readiness import NATS, POSTGRES, Readiness
from shared.settings import CommonSettings
from shared.tasks import Tasks, end, told_to_stop
from shared.tracing import tracing
from shared.watchdog import Part, Watchdog

log = get_logger(__name__)

#: How often the event loop shows that it comes round.
TICK_S = 0.5
#: A NATS connection on which nothing was heard for so long, while its server answers others, is not coming back.
NATS_LIMIT_S = 30.0
#: The same for Postgres, beyond the longest statement: locks may keep every connection busy until it is ended.
POSTGRES_LIMIT_S = STATEMENT_TIMEOUT_MS / 1000 + 15.0

OnReady = Callable[[], None]


@asynccontextmanager
async def watching(
    bus: Bus,
    pool: Pool | None,
    readiness: Readiness,
    *,
    nats_limit_s: float = NATS_LIMIT_S,
    postgres_limit_s: float = POSTGRES_LIMIT_S,
) -> AsyncIterator[None]:
    """On a connected bus: a watchdog over this process, and loops that keep the readiness true."""
    parts = [Part(NATS, lambda: nats_greets(bus.address.hosts), nats_limit_s)]
    if pool is not None:
        url = str(pool.conninfo)
        parts.append(Part(POSTGRES, lambda: postgres_greets(url), postgres_limit_s))
    watchdog = Watchdog(parts)

    async def tick() -> None:
        clock = asyncio.get_running_loop().time
        while True:
            watchdog.tick()
            expected = clock() + TICK_S
            await asyncio.sleep(TICK_S)
            count_loop(clock() - expected)

    async with Tasks([tick(), readiness.run(watchdog.heard)]):
        watchdog.start()
        try:
            yield
        finally:
            watchdog.stop()


async def run_service(
    name: str,
    bus: Bus,
    pool: Pool | None,
    body: Callable[[], AbstractAsyncContextManager[None]],
    settings: CommonSettings,
    on_ready: OnReady,
    readiness: Readiness | None = None,
) -> None:
    """Run until SIGTERM or SIGINT; `name` is what its traces are told under. `readiness` is for who tells of it in
    other places, too.

    `body` starts the service's loops when entered, with the bus connected and the pool open, and stops them when
    left, while they are still. The process is live from the first moment, and ready when NATS and the pool answer.
    """
    stack = AsyncExitStack()
    readiness = readiness or Readiness(bus, pool)

    async def start() -> None:
        toggle_debug_on_signal()
        stack.enter_context(tracing(name, settings))
        if pool is not None:
            watch_pool(pool.get_stats)
        await stack.enter_async_context(serving_health(readiness, settings.health_host, settings.health_port))
        await bus.connect()
        await stack.enter_async_context(watching(bus, pool, readiness))
        if pool is not None:
            await stack.enter_async_context(opened(pool))
        await stack.enter_async_context(body())

    async def ready() -> None:
        log.info("service started")
        on_ready()

    async def stop() -> None:
        with suppress(asyncio.CancelledError):
            await stack.aclose()
        await bus.close()
        log.info("service stopped")

    # Not its `run`, which looks ten times a second for a signal; nor its `stop`: the bus stops its broker itself.
    app = FastStream(bus.broker, on_startup=[start], after_startup=[ready], logger=None)
    await _until_told(app)
    await stop()


async def _until_told(app: FastStream) -> None:
    """Start it, and wait for a signal; one that comes earlier ends the start."""
    told = told_to_stop()
    starting, telling = asyncio.create_task(app.start()), asyncio.create_task(told.wait())
    await asyncio.wait([starting, telling], return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        await starting
        await telling
    else:
        await end([starting])
