"""Serves a demo application on loopback."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp

from shared.serving import Server
from shared.tasks import told_to_stop


async def serve_app(app: ASGIApp, port: int, on_ready: Callable[[], None]) -> None:
    """Until a signal."""
    told = told_to_stop()
    async with Server(app, "127.0.0.1", port, log_level="warning").running():
        on_ready()
        await told.wait()
