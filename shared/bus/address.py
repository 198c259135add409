"""How a NATS URL is to be dialled: everything that a service is told of the server stands in the URL."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import nats
from nats.aio.client import Client


class AddressError(ValueError):
    """The URL cannot be used; the message says why, without the password."""


@dataclass(frozen=True)
class Address:
    """`nats://user:password@host:4222`, or `tls://...` for TLS, with `?ca=FILE` for a certificate authority of one's
    own."""

    url: str
    #: Where answers come: each user has a prefix of its own, and the right to listen there and nowhere else.
    inbox_prefix: str
    tls: ssl.SSLContext | None = None


async def connect(url: str, **options: Any) -> Client:
    """A connected client; raises AddressError, and what `nats.connect` raises."""
    address = read_address(url)
    tls = {"tls": address.tls} if address.tls is not None else {}
    return await nats.connect(address.url, inbox_prefix=address.inbox_prefix, **tls, **options)


def read_address(url: str) -> Address:
    """Raises AddressError."""
    parts = urlsplit(url)
    queries = parse_qs(parts.query)
    if unknown := sorted(set(queries) - {"ca"}):
        raise AddressError(f"a NATS URL takes ?ca=FILE only, not {', '.join(unknown)}")
    if queries and parts.scheme != "tls":
        raise AddressError("?ca=FILE goes with a URL that begins with tls://")
    return Address(
        url=urlunsplit(parts._replace(query="")),
        inbox_prefix=inbox_prefix(unquote(parts.username or "")),
        tls=_tls(queries.get("ca", [None])[-1]) if parts.scheme == "tls" else None,
    )


def inbox_prefix(user: str) -> str:
    """`_INBOX_gateway` for the user `gateway`; what every NATS client uses when there is no user."""
    return "_INBOX" + (f"_{re.sub(r'[^A-Za-z0-9_-]', '_', user)}" if user else "")


def _tls(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise AddressError(f"the certificate authority {ca} cannot be read: {error}") from error
