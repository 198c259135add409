"""HTTP inside a service, whose own the signals are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from shared.tasks import watched

#: How often it is looked whether a server has begun to listen.
LOOK_EVERY_S = 0.01


class Server(uvicorn.Server):
    """Serves one application; `options` are uvicorn's own."""

    def __init__(self, app: ASGIApp, host: str, port: int, **options: Any) -> None:
        super().__init__(
            uvicorn.Config(app, host=host, port=port, access_log=False, log_config=None, lifespan="off", **options)
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's own to handle."""
        yield

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listens while it is entered; then answers the requests that go on. One that cannot listen ends the process,
        with the reason in the log."""
        serving = watched(self.serve())
        while not self.started and not serving.done():
            await asyncio.sleep(LOOK_EVERY_S)
        try:
            yield
        finally:
            self.should_exit = True
            await serving
