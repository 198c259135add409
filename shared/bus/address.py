"""How a NATS URL is to be dialled: everything that a service is told of the server stands in the URL."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import nats
import nats.errors
from nats.aio.client import Client

from shared.bus.arrivals import read_on
from shared.bus.reported import Reported, words_of
from shared.errors import UnavailableError

DEFAULT_PORT = 4222


class AddressError(ValueError):
    """The URL cannot be used; the message says why, without the password."""


@dataclass(frozen=True)
class Address:
    """`nats://user:password@host:4222`, or `tls://...` for TLS, with `?ca=FILE` for a certificate authority of one's
    own. The servers of a cluster stand one after another with commas between them."""

    #: Without credentials, which go to every server alike: also to those of a cluster that the first one tells of.
    servers: list[str]
    #: Where answers come: each user has a prefix of its own, and the right to listen there and nowhere else.
    inbox_prefix: str
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None

    @property
    def hosts(self) -> list[tuple[str, int]]:
        """Host and port of every server that was named."""
        parts = [urlsplit(server) for server in self.servers]
        return [(part.hostname or "127.0.0.1", part.port or DEFAULT_PORT) for part in parts]


async def connect(url: str, **options: Any) -> Client:
    """A connected client; raises AddressError, and what `nats.connect` raises. What goes wrong later is logged."""
    address = read_address(url)
    options |= {"tls": address.tls} if address.tls is not None else {}
    if address.password is not None:
        options |= {"user": address.user, "password": address.password}
    elif address.user is not None:
        options |= {"token": address.user}
    options.setdefault("error_cb", Reported().hear)
    client = await nats.connect(address.servers, inbox_prefix=address.inbox_prefix, **options)
    read_on(client)
    return client


async def connect_once(url: str, timeout_s: float = 5.0) -> Client:
    """A connected client that does not reconnect; raises AddressError, and UnavailableError when no server takes it."""
    reported = Reported()
    reported.silence()
    try:
        # nats-py tries a server that is not there 60 times, 2 s apart, also when it is told not to reconnect.
        client = await connect(
            url,
            connect_timeout=timeout_s,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            error_cb=reported.hear,
        )
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise UnavailableError(
            "nats_unavailable",
            f"NATS does not answer at {_places(url)}: {words_of(reported.last or error)}. "
            "Is it running, are its address and password right?",
        ) from error
    reported.speak()
    return client


def _places(url: str) -> str:
    return ", ".join(f"{host}:{port}" for host, port in read_address(url).hosts)


def read_address(url: str) -> Address:
    """Raises AddressError."""
    parts = [urlsplit(one.strip()) for one in url.split(",")]
    first = parts[0]
    credentials = (first.username, first.password)
    for other in parts[1:]:
        if (other.username, other.password) not in {credentials, (None, None)}:
            raise AddressError("all servers of one NATS URL take the same user and password")
        if other.scheme != first.scheme:
            raise AddressError(f"all servers of one NATS URL have the same scheme, as {first.scheme}:// has the first")
    queries = parse_qs(first.query)
    if unknown := sorted(set(queries) - {"ca"}):
        raise AddressError(f"a NATS URL takes ?ca=FILE only, not {', '.join(unknown)}")
    if queries and first.scheme != "tls":
        raise AddressError("?ca=FILE goes with a URL that begins with tls://")
    user = unquote(first.username) if first.username is not None else None
    return Address(
        servers=[f"{part.scheme}://{part.netloc.rpartition('@')[2]}" for part in parts],
        inbox_prefix=inbox_prefix(user if user is not None and first.password is not None else ""),
        user=user,
        password=unquote(first.password) if first.password is not None else None,
        tls=_tls(queries.get("ca", [None])[-1]) if first.scheme == "tls" else None,
    )


def inbox_prefix(user: str) -> str:
    """`_INBOX_gateway` for the user `gateway`; what every NATS client uses when there is no user."""
    return "_INBOX" + (f"_{re.sub(r'[^A-Za-z0-9_-]', '_', user)}" if user else "")


def _tls(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise AddressError(f"the certificate authority {ca} cannot be read: {error}") from error
