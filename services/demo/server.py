"""Serves a demo application on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp


async def serve_app(app: ASGIApp, port: int, on_ready: Callable[[], None]) -> None:
    """Until a signal."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off")
    )
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    on_ready()
    await serving
