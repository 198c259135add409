"""The one way out: every request is resolved, checked and dialled in one step, so nothing can change between."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore
import httpx

from services.executors.kit.addresses import Address, AllowedAddresses, is_public
from services.executors.kit.errors import PermanentNodeError, TransientNodeError

CONNECT_TIMEOUT_S = 10.0
#: Connections to all hosts together; a model call keeps one for as long as it lasts.
MOST_CONNECTIONS = 1000
MOST_IDLE = 256
IDLE_S = 30.0


class AddressRefusedError(Exception):
    """The address is not public and no setting allows it."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name, refuses it unless every answer may be reached, and dials one of exactly those."""

    def __init__(self, allowed: AllowedAddresses) -> None:
        self._allowed = allowed
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _resolve(host, port)
        for address in addresses:
            if not is_public(address) and not self._allowed.allows(host.lower(), port, address):
                raise AddressRefusedError(
                    f"{host} leads to {address}, which is not a public address. If it is meant to be reached, "
                    f"allow it with PIPEWRIGHT_ALLOW_ADDRESSES={address}:{port} on the worker."
                )
        error: Exception | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error or httpcore.ConnectError(f"{host} has no address")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefusedError("sockets in the file system cannot be reached")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"the name {host} could not be resolved: {error}") from error
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


class _Body(httpx.AsyncByteStream):
    """The answer's body; its connection is free again when it is closed."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except httpcore.TimeoutException as error:
            raise httpx.ReadTimeout(str(error) or "no answer in time") from error
        except httpcore.NetworkError as error:
            raise httpx.ReadError(str(error) or "the connection broke") from error
        except httpcore.ProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error

    async def aclose(self) -> None:
        await self._stream.aclose()


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx over a connection pool whose every connection is made by the guard."""

    def __init__(self, allowed: AllowedAddresses) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_IDLE,
            keepalive_expiry=IDLE_S,
            network_backend=GuardedBackend(allowed),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        try:
            answer = await self._pool.handle_async_request(
                httpcore.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except httpcore.TimeoutException as error:
            raise httpx.ConnectTimeout(str(error) or "no connection in time") from error
        except httpcore.NetworkError as error:
            raise httpx.ConnectError(str(error) or "no connection") from error
        except httpcore.ProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


def guarded_client(allowed: AllowedAddresses) -> httpx.AsyncClient:
    """A client that follows no redirect by itself and trusts nothing of the environment."""
    return httpx.AsyncClient(
        transport=GuardedTransport(allowed),
        follow_redirects=False,
        trust_env=False,
        timeout=httpx.Timeout(60.0, connect=CONNECT_TIMEOUT_S),
        headers={"user-agent": "pipewright"},
    )


def shown_url(url: httpx.URL) -> str:
    """The URL without credentials and query, for errors and logs."""
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))


def as_node_error(error: Exception, url: httpx.URL) -> PermanentNodeError | TransientNodeError:
    """A failure on the way, in words."""
    where = shown_url(url)
    if isinstance(error, AddressRefusedError):
        return PermanentNodeError("address_refused", f"{where} was refused: {error}")
    if isinstance(error, httpx.TimeoutException):
        return TransientNodeError("timed_out", f"{where} did not answer in time: {error}")
    if isinstance(error, httpx.ConnectError):
        return TransientNodeError(
            "unreachable", f"{where} could not be reached: {error}. Check the address and that it is up."
        )
    return TransientNodeError("connection_failed", f"The exchange with {where} broke off: {error}")


def retry_after_s(response: httpx.Response) -> float | None:
    """The seconds of a Retry-After header, if it has them."""
    value = response.headers.get("retry-after", "")
    return min(float(value), 3600.0) if value.isdigit() else None
