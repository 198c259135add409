"""httpx over kept connections that the guard makes."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpcore
import httpx

from services.executors.kit.addresses import AllowedAddresses
from services.executors.kit.guard import GuardedBackend
from services.executors.kit.traces import calling

#: Idle connections to all hosts together; those in use are bounded by the worker's slots.
MOST_IDLE = 256
IDLE_S = 30.0


class Connections:
    """Kept connections by origin. httpcore's own pool looks at every connection for every request, which at
    some hundred costs milliseconds; here a request takes the one that was used last, or a new one."""

    def __init__(self, allowed: AllowedAddresses) -> None:
        self._backend = GuardedBackend(allowed)
        self._ssl_context = ssl.create_default_context()
        self._idle: dict[str, deque[httpcore.AsyncHTTPConnection]] = {}
        self._count = 0

    async def take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        idle = self._idle.get(str(origin))
        while idle:
            connection = idle.pop()
            self._count -= 1
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return httpcore.AsyncHTTPConnection(
            origin, ssl_context=self._ssl_context, keepalive_expiry=IDLE_S, network_backend=self._backend
        )

    async def give_back(self, origin: httpcore.Origin, connection: httpcore.AsyncHTTPConnection) -> None:
        """Keep it for the next request if it can take one; the one that was idle for longest makes room."""
        if not connection.is_idle():
            await connection.aclose()
            return
        idle = self._idle.pop(str(origin), deque())
        # The origin that was used last stands last.
        self._idle[str(origin)] = idle
        idle.append(connection)
        self._count += 1
        while self._count > MOST_IDLE:
            oldest, connections = next(iter(self._idle.items()))
            self._count -= 1
            await connections.popleft().aclose()
            if not connections:
                del self._idle[oldest]

    async def aclose(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                await connection.aclose()
        self._idle.clear()
        self._count = 0


class _Body(httpx.AsyncByteStream):
    """The answer's body; its connection is free again when it is closed."""

    def __init__(self, stream: Any, close: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._close = close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx_errors():
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
        await self._close()


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx over connections that the guard makes."""

    def __init__(self, allowed: AllowedAddresses) -> None:
        self._connections = Connections(allowed)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with calling(request) as span:
            response = await self._send(request)
            if span is not None:
                span.set_attribute("http.response.status_code", response.status_code)
            return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        sent = httpcore.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        connection = await self._connections.take(url.origin)
        try:
            with _as_httpx_errors():
                answer = await connection.handle_async_request(sent)
        except BaseException:
            await connection.aclose()
            raise
        body = _Body(answer.stream, partial(self._connections.give_back, url.origin, connection))
        return httpx.Response(answer.status, headers=answer.headers, stream=body, extensions=answer.extensions)

    async def aclose(self) -> None:
        await self._connections.aclose()


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    """httpcore's errors under the names that httpx gives them."""
    try:
        yield
    except httpcore.ConnectTimeout as error:
        raise httpx.ConnectTimeout(str(error) or "no connection in time") from error
    except httpcore.TimeoutException as error:
        raise httpx.ReadTimeout(str(error) or "no answer in time") from error
    except httpcore.ConnectError as error:
        raise httpx.ConnectError(str(error) or "no connection") from error
    except httpcore.NetworkError as error:
        raise httpx.ReadError(str(error) or "the connection broke") from error
    except httpcore.LocalProtocolError as error:
        # Its words quote the header at fault, which may be a secret.
        raise httpx.LocalProtocolError("the request has a part that HTTP does not allow") from error
    except httpcore.ProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
