"""httpx over aiohttp's connections, which the guard lets out."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from weakref import WeakSet

import aiohttp
import httpx
from aiohttp.connector import AddrInfoType
from yarl import URL

from services.executors.kit.addresses import AllowedAddresses
from services.executors.kit.guard import Guard
from services.executors.kit.last_moment import check_wanted
from services.executors.kit.traces import calling

#: While more connections are open, to all hosts together, no further one is kept for a next request.
MOST_KEPT = 512
IDLE_S = 30.0
#: The most of a header's line.
HEADER_LIMIT = 64 * 1024
#: aiohttp would add them: the request says what is sent.
_NOT_ADDED = ("user-agent", "accept", "accept-encoding", "content-type")


class Connections:
    """Where requests are sent: over connections that are kept for the next one, up to a bound that aiohttp has not."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._open: WeakSet[socket.socket] = WeakSet()
        self._keeping: aiohttp.ClientSession | None = None
        self._closing: aiohttp.ClientSession | None = None

    def session(self) -> aiohttp.ClientSession:
        """Made when it is needed first, since it belongs to the loop that runs."""
        if len(self._open) < MOST_KEPT:
            if self._keeping is None:
                self._keeping = self._session(is_kept=True)
            return self._keeping
        if self._closing is None:
            self._closing = self._session(is_kept=False)
        return self._closing

    def _session(self, is_kept: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=self._guard,
            use_dns_cache=False,
            # The worker's slots bound them.
            limit=0,
            socket_factory=self._socket,
            **({"keepalive_timeout": IDLE_S} if is_kept else {"force_close": True}),
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NOT_ADDED,
            auto_decompress=False,
            max_line_size=HEADER_LIMIT,
            max_field_size=HEADER_LIMIT,
        )
        # It has no parameter for it: what is lost on a kept connection may have been done, and is not sent again here.
        session._retry_connection = False
        return session

    def _socket(self, address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        self._open.add(made)
        return made

    async def aclose(self) -> None:
        for session in (self._keeping, self._closing):
            if session is not None:
                await session.close()


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends requests whose bodies are bytes; follows no redirect and keeps no cookie."""

    def __init__(self, allowed: AllowedAddresses) -> None:
        self._guard = Guard(allowed)
        self._connections = Connections(self._guard)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with calling(request) as span:
            response = await self._send(request)
            if span is not None:
                span.set_attribute("http.response.status_code", response.status_code)
            return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        timeout, where = request.extensions["timeout"], request.url
        with _as_httpx_errors():
            url = URL(f"{where.scheme}://{where.netloc.decode()}{where.raw_path.decode()}", encoded=True)
            self._guard.check_literal(url.raw_host or "", url.port or 0)
            await check_wanted()
            answer = await self._connections.session().request(
                request.method,
                url,
                headers=request.headers,
                data=request.stream if request.content else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(sock_connect=timeout["connect"], sock_read=timeout["read"]),
            )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer), request=request)

    async def aclose(self) -> None:
        await self._connections.aclose()


class _Body(httpx.AsyncByteStream):
    """The answer's body; its connection is free again when it is closed."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx_errors():
            async for part in self._answer.content.iter_any():
                yield part

    async def aclose(self) -> None:
        self._answer.release()


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    """aiohttp's errors under the names that httpx gives them."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout("no connection in time") from error
    except aiohttp.ServerTimeoutError as error:
        raise httpx.ReadTimeout("no answer in time") from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(_words(error)) from error
    except aiohttp.ClientOSError as error:
        raise httpx.ReadError(_words(error)) from error
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError(_words(error)) from error
    except ValueError as error:
        # Its words quote the header at fault, which may be a secret.
        raise httpx.LocalProtocolError("the request has a part that HTTP does not allow") from error


def _words(error: aiohttp.ClientError) -> str:
    """aiohttp's own repeat the address around the reason."""
    reason = error.__cause__ or error
    return " ".join(str(getattr(reason, "message", reason)).split())
