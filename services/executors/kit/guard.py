"""The one way out: every name is resolved, checked and dialled in one step, so nothing can change between."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from functools import lru_cache

from aiohttp.abc import AbstractResolver, ResolveResult

from services.executors.kit.addresses import Address, AllowedAddresses, is_public


class AddressRefusedError(Exception):
    """The address is not public and no setting allows it."""


class Guard(AbstractResolver):
    """Resolves a name for aiohttp, which dials exactly what this gives; refuses it unless every answer may be
    reached."""

    def __init__(self, allowed: AllowedAddresses) -> None:
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise OSError(f"the name {host} could not be resolved: {error}") from error
        addresses = dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found)
        if not addresses:
            raise OSError(f"{host} has no address")
        for address in addresses:
            self._check(host, port, address)
        return [_dialled(host, port, address) for address in addresses]

    def check_literal(self, host: str, port: int) -> None:
        """What aiohttp dials without asking for it: a host that is an address."""
        address = _literal(host)
        if address is not None:
            self._check(host, port, address)

    def _check(self, host: str, port: int, address: Address) -> None:
        if is_public(address) or self._allowed.allows(host.lower(), port, address):
            return
        allowed = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
        raise AddressRefusedError(
            f"{host} leads to {address}, which is not a public address. If it is meant to be reached, "
            f"allow it with PIPEWRIGHT_ALLOW_ADDRESSES={allowed} on the worker."
        )

    async def close(self) -> None:
        """It holds nothing."""


@lru_cache(maxsize=1024)
def _literal(host: str) -> Address | None:
    """The address that stands there; None for a name. Raises AddressRefusedError for what is neither."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        if ":" not in host and any(character.isalpha() for character in host):
            return None
        raise AddressRefusedError(
            f"{host} is neither a name nor an address. Write an IPv4 address as four numbers up to 255."
        ) from None


def _dialled(host: str, port: int, address: Address) -> ResolveResult:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=str(address), port=port, family=family, proto=0, flags=flags)
