"""Stands between the client and the flat routes: JSON:API documents in and out, for who asks; nothing for others."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.bodies import BODY_LIMIT, DOCUMENT_LIMIT, read_json
from services.gateway.jsonapi import negotiation
from services.gateway.jsonapi.documents import document_of
from services.gateway.jsonapi.errors import Origin, error_document
from services.gateway.jsonapi.places import Place, place_of
from services.gateway.jsonapi.queries import Wish, read_query
from services.gateway.jsonapi.refusals import NotAcceptableError
from services.gateway.jsonapi.requests import flat_body
from services.gateway.jsonapi.resources import PIPELINES
from services.gateway.problems import MEDIA_TYPE as PROBLEM
from services.gateway.problems import on_fault, problem_response
from shared.contracts.rest import PREFIX
from shared.errors import ServiceError

#: Bytes; from here on a translation may take longer than others should wait for the event loop.
LARGE = 128 * 1024
#: Of what kind a body would be says nothing where none is read.
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
TRANSLATED = frozenset({negotiation.FLAT_MEDIA_TYPE, PROBLEM})


def add_jsonapi(app: FastAPI) -> None:
    """To be called after the handlers of problems are there, and before what compresses answers."""
    app.add_middleware(JsonApi)
    app.add_exception_handler(Exception, _on_fault)


class JsonApi:
    """Translates what is JSON:API on either side; of a request that names it nowhere only `Vary` tells."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(f"{PREFIX}/"):
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        try:
            exchange.agree()
        except ServiceError as error:
            await problem_response(error.problem)(scope, receive, exchange.send)
            return
        await self._app(exchange.scope, exchange.receive, exchange.send)


class Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._place: Place = place_of(scope["method"], scope["path"])
        self._query = scope["query_string"].decode("latin-1")
        self._wish = Wish()
        self._origin = Origin()
        self._receive, self._send = receive, send
        self._is_asked_for = False
        self._is_brought = False
        #: The start of an answer that is held back until its body is there.
        self._start: Message | None = None
        self._parts: list[bytes] = []

    def agree(self) -> None:
        """Finds out who speaks what, and makes the request a flat one; raises ServiceError."""
        headers = Headers(scope=self.scope)
        try:
            self._is_asked_for = negotiation.asks_for_document(", ".join(headers.getlist("accept")))
        except NotAcceptableError:
            self._is_asked_for = True  # it does speak JSON:API, and is told so in it
            raise
        if self.scope["method"] in WITH_BODY:
            self._is_brought = negotiation.brings_document(headers.get("content-type"))
        if self._is_asked_for:
            self._wish = read_query(self._query, self._place)
            self._origin = Origin(names=self._wish.names)
            # In place, since whoever counts requests reads the route from this scope afterwards.
            self.scope["query_string"] = self._wish.flat_query.encode()

    async def receive(self) -> Message:
        """The body as the routes know it. It is read when a route wants it, so never before the key was checked."""
        if not self._is_brought:
            return await self._receive()
        self._is_brought = False
        limit = DOCUMENT_LIMIT if self._place.takes is PIPELINES else BODY_LIMIT
        document = await read_json(Request(self.scope, self._receive), limit)
        self._origin = replace(self._origin, body=document)
        sent = flat_body(document, self._place)
        self._origin = replace(self._origin, places=sent.places)
        return {"type": "http.request", "body": orjson.dumps(sent.flat), "more_body": False}

    async def send(self, message: Message) -> None:
        """Holds back what is translated; streams and files go through as they come."""
        if message["type"] == "http.response.start":
            message = _varying(message)
        if message["type"] == "http.response.start" and self._is_translated(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._answer(self._start, b"".join(self._parts))

    def _is_translated(self, start: Message) -> bool:
        kind = Headers(raw=start["headers"]).get("content-type", "")
        return self._is_asked_for and kind.partition(";")[0].strip() in TRANSLATED

    async def _answer(self, start: Message, body: bytes) -> None:
        headers = MutableHeaders(raw=list(start["headers"]))
        if len(body) < LARGE:
            written = self._translated(headers["content-type"], body)
        else:
            written = await asyncio.to_thread(self._translated, headers["content-type"], body)
        _mark(headers, written)
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": written})

    def _translated(self, kind: str, body: bytes) -> bytes:
        flat = orjson.loads(body)
        if kind.startswith(PROBLEM):
            return orjson.dumps(error_document(flat, self._origin))
        return orjson.dumps(document_of(flat, self._place, self._wish, self.scope["path"], self._query))


def _mark(headers: MutableHeaders, written: bytes) -> None:
    headers["content-type"] = negotiation.MEDIA_TYPE
    headers["content-length"] = str(len(written))


def _varying(start: Message) -> Message:
    """Every answer depends on `Accept`, so that a cache must not give one form of it for the other."""
    headers = MutableHeaders(raw=list(start.get("headers", ())))
    headers.add_vary_header("Accept")
    return {**start, "headers": headers.raw}


async def _on_fault(request: Request, error: Exception) -> Response:
    """A fault is answered outside of all middleware, so it is translated here."""
    response = await on_fault(request, error)
    if request.url.path.startswith(f"{PREFIX}/"):
        response.headers.add_vary_header("Accept")
        try:
            is_asked_for = negotiation.asks_for_document(", ".join(request.headers.getlist("accept")))
        except NotAcceptableError:
            is_asked_for = True
        if is_asked_for:
            response.body = orjson.dumps(error_document(orjson.loads(response.body), Origin()))
            _mark(response.headers, response.body)
    return response
