"""NATS's own protocol by hand, for what no client would send (docs.nats.io, "Client Protocol")."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import orjson

#: No line at all, statuses that are no text, and a field that is none.
ODD_HEADERS = (
    b"NATS/1.0",
    b"\r\n",
    b"NATS/1.0 \xff\xff\xff\r\n\r\n",
    b"NATS/1.0 404 \xff\r\n\r\n",
    b"NATS/1.0\r\n\xff: \xff\r\n\r\n",
)


async def publish_raw(nats_url: str, subject: bytes, body: bytes, *, headers: bytes = b"", reply: bytes = b"") -> None:
    """Publish these very bytes; the server has taken them when this returns."""
    address = urlsplit(nats_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    hello = {"user": address.username, "pass": address.password, "headers": True, "verbose": False}
    sizes = b"%d %d" % (len(headers), len(headers) + len(body)) if headers else b"%d" % len(body)
    command = b" ".join(filter(None, [b"HPUB" if headers else b"PUB", subject, reply, sizes]))
    writer.write(b"CONNECT " + orjson.dumps(hello) + b"\r\n" + command + b"\r\n" + headers + body + b"\r\nPING\r\n")
    lines = [await reader.readline(), await reader.readline()]
    writer.close()
    await writer.wait_closed()
    assert lines[1] == b"PONG\r\n", lines
