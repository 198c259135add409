"""HTTP inside a service, whose own the signals are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from socket import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from shared.patience import PatientProtocol
from shared.tasks import is_set_within, watched

#: How often an idle server comes round.
TICK_S = 1.0


class Server(uvicorn.Server):
    """Serves one application; `options` are uvicorn's own."""

    def __init__(self, app: ASGIApp, host: str, port: int, **options: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=PatientProtocol,
                access_log=False,
                log_config=None,
                lifespan="off",
                **options,
            )
        )
        self._listens = asyncio.Event()
        self._told = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's own to handle."""
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self._listens.set()

    async def main_loop(self) -> None:
        """Once a second, for the header `date`, and at once when it is to stop; uvicorn's own comes round ten times."""
        while not await self.on_tick(0):
            await is_set_within(self._told, TICK_S)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listens while it is entered; then answers the requests that go on. One that cannot listen ends the process,
        with the reason in the log."""
        serving = watched(self.serve())
        try:
            await self._listens.wait()
            yield
        finally:
            self.should_exit = True
            self._told.set()
            await serving
