"""The one way out: every name is resolved, checked and dialled in one step, so nothing can change between."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import httpcore

from services.executors.kit.addresses import Address, AllowedAddresses, is_public


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
                allowed = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
                raise AddressRefusedError(
                    f"{host} leads to {address}, which is not a public address. If it is meant to be reached, "
                    f"allow it with PIPEWRIGHT_ALLOW_ADDRESSES={allowed} on the worker."
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
