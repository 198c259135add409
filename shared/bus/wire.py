"""Publishing many messages in one write, as commands of the NATS client protocol.

nats-py makes, checks and buffers each message by itself. For a message of half a kilobyte with one header that takes
five times as long as its command alone, and as long again for every five headers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import nats.errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport, Transport

#: Bytes around a body, at most: subjects, sizes and headers.
AROUND = 1024
#: Bytes; with more that the connection has not taken yet, asyncio would have who writes wait.
MOST_BUFFERED = 64 * 1024
#: What `write` raises; of them OSError and RuntimeError when the connection was cut and nats-py does not know it yet.
NOT_WRITTEN = (nats.errors.Error, OSError, RuntimeError)
HEADERS_BEGIN = "NATS/1.0\r\n"


def command(subject: str, body: bytes, reply: str = "", headers: Mapping[str, str] | None = None) -> bytes:
    """PUB, or HPUB with headers. Nothing in a subject or a header is quoted: they are checked names and ids; raises
    ValueError when one would end its line."""
    if headers:
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        block = f"{HEADERS_BEGIN}{lines}\r\n"
        breaks = len(headers) + 3
        size = len(block.encode())
        head = f"HPUB {subject} {reply} {size} {size + len(body)}\r\n{block}"
    else:
        breaks = 1
        head = f"PUB {subject} {reply} {len(body)}\r\n"
    if head.count("\n") != breaks:
        raise ValueError(f"a subject or a header holds a line break: {head!r}")
    return b"%b%b\r\n" % (head.encode(), body)


def write(client: Client, commands: Iterable[bytes]) -> None:
    """Hand these over to be sent, in this order, as nats-py's `publish` does; what the connection does not take now is
    sent when it does, or on the next one. Raises one of NOT_WRITTEN. None is sent when one of them is larger than the
    server takes, since that would end the connection."""
    found = list(commands)
    if not found:
        return
    data = b"".join(found)
    if client.is_closed:
        raise nats.errors.ConnectionClosedError
    if client.is_draining_pubs:
        raise nats.errors.ConnectionDrainingError
    if max(map(len, found)) > client.max_payload:
        raise nats.errors.MaxPayloadError
    if not client.is_connected and client.pending_data_size + len(data) > client._max_pending_size:
        raise nats.errors.OutboundBufferLimitError
    client._pending.append(data)
    client._pending_data_size += len(data)
    if client.is_connected:
        _flush(client)


def _flush(client: Client) -> None:
    """At once where that is possible, else by nats-py's task, which waits for the connection to take it."""
    connection, flusher, due = client._transport, client._flusher_task, client._flush_queue
    if connection is None or due is None:
        return
    if flusher is None or flusher.done() or _takes_more(connection):
        connection.writelines(client._pending)
        client._pending = []
        client._pending_data_size = 0
    elif due.empty():
        due.put_nowait(asyncio.get_running_loop().create_future())


def _takes_more(connection: Transport) -> bool:
    writer = connection._io_writer if isinstance(connection, TcpTransport) else None
    if writer is None or writer.transport.is_closing():
        return False
    return writer.transport.get_write_buffer_size() < MOST_BUFFERED
