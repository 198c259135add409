"""Answers whoever watches over a process: `/live` while its event loop turns, `/ready` while it can do its work;
`/metrics` for Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.readiness import Readiness
from shared.serving import Server


def make_health_app(readiness: Readiness) -> Starlette:
    async def live(request: Request) -> Response:
        """Says nothing of NATS and Postgres: a restart of this process would not bring them back."""
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:
        problems = readiness.problems()
        return JSONResponse({"status": ", ".join(problems) or "ready"}, 503 if problems else 200)

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/live", live), Route("/ready", ready), Route("/metrics", metrics)])


@asynccontextmanager
async def serving_health(readiness: Readiness, host: str, port: int) -> AsyncIterator[None]:
    """On this port, for as long as it is entered; not at all when the port is 0."""
    if not port:
        yield
        return
    async with Server(make_health_app(readiness), host, port).running():
        yield
