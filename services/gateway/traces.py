"""A span for each request, under that of whoever sent it."""

from __future__ import annotations

from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.tracing import TRACEPARENT, begin, fail, is_traced, valid_traceparent, within


class RequestTraces:
    """Named by the route's template; nothing of the query, the headers or the bodies is told."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_traced():
            return await self._app(scope, receive, send)
        method = scope["method"]
        traceparent = valid_traceparent(Headers(scope=scope).get(TRACEPARENT))
        span = begin(method, SpanKind.SERVER, traceparent, {"http.request.method": method})

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "")
                span.update_name(f"{method} {route}".strip())
                span.set_attribute("http.route", route)
                span.set_attribute("http.response.status_code", message["status"])
                if message["status"] >= 500:
                    fail(span, str(message["status"]))
            await send(message)

        with within(span):
            return await self._app(scope, receive, tell)
