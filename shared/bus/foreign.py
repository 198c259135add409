"""Messages of other clients, as nats-py can read them.

NATS hands on whatever bytes stand in a subject, a reply subject and the headers. nats-py 2.16 takes them for text, and
where they are none it ends its reading of the whole connection, and tells nobody: one such message in a stream would
end every process that takes it, one after the other.
"""

from __future__ import annotations

from nats.aio.client import Client

#: The first line of headers goes on behind it with nothing, or with a space and a status.
HEADERS_BEGIN = len(b"NATS/1.0")


def read_on(client: Client) -> None:
    """Whatever is sent to this client, it goes on reading: what is no text is replaced or left out."""
    process = client._process_msg

    async def process_readable(sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        await process(sid, _text(subject), _text(reply), data, _headers(headers) if headers else b"")

    client._process_msg = process_readable  # type: ignore[method-assign]  # there is no other place for it


def _text(given: bytes) -> bytes:
    return given if given.isascii() else given.decode(errors="replace").encode()


def _headers(given: bytes) -> bytes:
    """Without them, when their first line is none or its status no text; nats-py reads the other lines with care."""
    behind = given[HEADERS_BEGIN : HEADERS_BEGIN + 1]
    return b"" if not behind or (behind == b" " and not given.isascii()) else given
