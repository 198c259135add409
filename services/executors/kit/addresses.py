"""Which addresses outbound requests may reach: public ones, and those that a setting allows; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Global by the registry's word, but they lead elsewhere: NAT64, 6to4 and Teredo carry any IPv4 address, site-local
#: ones are private, and two clouds keep their machines' secrets at 192.0.0.192 and 168.63.129.16.
_DENIED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "100.64.0.0/10",
        "192.88.99.0/24",
        "192.0.0.0/24",
        "168.63.129.16/32",
        "fec0::/10",
    )
)


@dataclass(frozen=True)
class AllowedAddresses:
    """What is reachable although it is not public: networks, and (host, port) pairs with port None for any."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[tuple[str, int | None]] = frozenset()

    def allows(self, host: str, port: int, address: Address) -> bool:
        if {(host, None), (host, port), (str(address), None), (str(address), port)} & self.hosts:
            return True
        return any(address.version == network.version and address in network for network in self.networks)


def read_allowed(texts: Iterable[str]) -> AllowedAddresses:
    """From `host`, `host:port`, `[v6]:port` or a network in CIDR form; raises ValueError."""
    networks: list[Network] = []
    hosts: set[tuple[str, int | None]] = set()
    for text in texts:
        if "/" in text:
            networks.append(ipaddress.ip_network(text, strict=False))
            continue
        host, port = text, None
        if text.startswith("["):
            host, _, rest = text[1:].partition("]")
            port = int(rest[1:]) if rest else None
        elif text.count(":") == 1:
            host, _, number = text.partition(":")
            port = int(number)
        hosts.add((host.lower(), port))
    return AllowedAddresses(tuple(networks), frozenset(hosts))


@lru_cache(maxsize=1024)
def is_public(address: Address) -> bool:
    """Global unicast, also behind an IPv4 address that is mapped into IPv6."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address.version == network.version and address in network for network in _DENIED)
