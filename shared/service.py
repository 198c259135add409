"""How a service lives: connect, start its loops, tell that it is ready, and end cleanly on a signal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress

from faststream import FastStream

from shared.bus.connection import Bus, Watchdog
from shared.logging import get_logger

log = get_logger(__name__)

OnReady = Callable[[], None]


async def _tick(watchdog: Watchdog) -> None:
    while True:
        watchdog.tick()
        await asyncio.sleep(0.5)


async def run_service(bus: Bus, body: Callable[[], AbstractAsyncContextManager[None]], on_ready: OnReady) -> None:
    """Run until SIGTERM or SIGINT.

    `body` starts the service's loops when entered, with the bus connected, and stops them when left, while it
    is connected still.
    """
    stack = AsyncExitStack()
    watchdog = Watchdog()

    async def start() -> None:
        ticking = asyncio.create_task(_tick(watchdog))
        stack.callback(ticking.cancel)
        watchdog.start()
        await bus.connect()
        await stack.enter_async_context(body())

    async def ready() -> None:
        log.info("service started")
        on_ready()

    async def stop() -> None:
        with suppress(asyncio.CancelledError):
            await stack.aclose()
        await bus.close()
        log.info("service stopped")

    app = FastStream(bus.broker, on_startup=[start], after_startup=[ready], on_shutdown=[stop], logger=None)
    await app.run()
