"""How many requests there are, how they end, and how long they take."""

from __future__ import annotations

import time

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.metrics import COARSE_BUCKETS

REQUEST_SECONDS = Histogram(
    "pipewright_http_request_seconds",
    "From a request to the beginning of its answer",
    ["method", "route", "status"],
    buckets=COARSE_BUCKETS,
)
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class RequestMetrics:
    """Counts by the route's template, never by the path; what no route takes is one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = time.perf_counter()

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in METHODS else "other"
                status = f"{message['status'] // 100}xx"
                REQUEST_SECONDS.labels(method, route, status).observe(time.perf_counter() - began)
            await send(message)

        return await self._app(scope, receive, count)
