"""How messages reach us: whatever they hold, and at once where they come by the thousand.

NATS hands on whatever bytes stand in a subject, a reply subject and the headers. nats-py 2.16 takes them for text, and
where they are none it ends its reading of the whole connection, and tells nobody: one such message in a stream would
end every process that takes it, one after the other.

It also reads the headers of each message, puts it into a queue, and has a task await a callback for it. That is a fifth
of what a small node costs its worker, though nobody asks for those headers. So messages of subscriptions that are made
here are handed over as they come in, before a task wakes to read them; all others, and all else that the server says,
nats-py reads as ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.protocol.parser import AWAITING_CONTROL_LINE, AWAITING_MSG_PAYLOAD

from shared.logging import get_logger

log = get_logger(__name__)

LINE_END = b"\r\n"
#: How many sizes stand at the end of such a line.
SIZES = {b"MSG": 1, b"HMSG": 2}
#: The first line of headers goes on behind it with nothing, or with a space and a status.
HEADERS_BEGIN = len(b"NATS/1.0")

Take = Callable[[Msg], None]


class Taker(NamedTuple):
    """Who takes the messages of a subscription."""

    take: Take
    #: Messages with headers are left to nats-py.
    reads_headers: bool


#: Where a subscription has its taker, and whether a client reads on already.
TAKER, READS_ON = "pipewright_taker", "pipewright_reads_on"


def read_on(client: Client) -> None:
    """Whatever is sent to this client, it goes on reading: what is no text is replaced or left out."""
    if hasattr(client, READS_ON):
        return
    setattr(client, READS_ON, True)
    process, parser, parse, read = client._process_msg, client._ps, client._ps.parse, client._read_loop

    async def process_readable(sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        headers = _readable(headers) if headers else b""
        taker = _taker_of(client, sid)
        if taker is None or (headers and (taker.reads_headers or _is_status(headers))):
            await process(sid, _text(subject), _text(reply), data, headers)
        else:
            _hand_over(client, taker.take, subject, reply, data)

    async def parse_ahead(data: bytes = b"") -> None:
        if parser.state == AWAITING_MSG_PAYLOAD:
            missing = parser.needed + len(LINE_END) - len(parser.buf)
            await parse(data[:missing])
            data = data[missing:]
        elif parser.buf:
            data = bytes(parser.buf) + data
            parser.buf.clear()
        if rest := data[_taken_ahead(client, data) :]:
            await parse(rest)

    async def read_after() -> None:
        _take_first(client)
        await read()

    # There is no other place for these.
    client._process_msg = process_readable  # type: ignore[method-assign]
    parser.parse = parse_ahead  # type: ignore[method-assign]
    # Each connection after a lost one is read by a call of its own.
    client._read_loop = read_after  # type: ignore[method-assign]
    _take_first(client)


async def subscribe(
    client: Client,
    subject: str,
    take: Take,
    others: Callable[[Msg], Awaitable[None]] | None = None,
    *,
    queue: str = "",
    reads_headers: bool = False,
) -> Subscription:
    """Each message is taken at once, without its headers. Those by which the server tells a status and, with
    `reads_headers`, all that have headers come a little later and with their headers: to `others`, else to `take`."""

    async def take_later(message: Msg) -> None:
        take(message)

    read_on(client)
    subscription = await client.subscribe(
        subject, queue=queue, cb=others or take_later, pending_msgs_limit=0, pending_bytes_limit=0
    )
    # Nothing has come yet: it is read by another task, which has had no turn.
    setattr(subscription, TAKER, Taker(take, reads_headers))
    return subscription


def _take_first(client: Client) -> None:
    """What comes in on the connection of now is looked at before it is put where nats-py reads it."""
    connection, parser = client._transport, client._ps
    if not isinstance(connection, TcpTransport) or (reader := connection._io_reader) is None:
        return
    put = reader.feed_data

    def put_rest(data: bytes) -> None:
        # Not when something stands before it.
        waits = parser.buf or reader._buffer  # type: ignore[attr-defined]
        if parser.state == AWAITING_CONTROL_LINE and not waits:
            data = data[_taken_ahead(client, data) :]
        if data:
            put(data)

    # There is no other place for this either.
    reader.feed_data = put_rest  # type: ignore[method-assign, assignment]


def _taken_ahead(client: Client, data: bytes) -> int:
    """Hands over the messages at the beginning that are whole and have a taker; returns where the rest begins.

    `MSG <subject> <sid> [reply] <bytes>`, or `HMSG <subject> <sid> [reply] <bytes of headers> <bytes of all>`.
    """
    at = 0
    while (line_end := data.find(LINE_END, at)) >= 0:
        name, *words = data[at:line_end].split() or [b""]
        sizes = SIZES.get(name, 0)
        reply = words[2] if len(words) == sizes + 3 else b""
        if not sizes or len(words) not in (sizes + 2, sizes + 3) or not (taker := _taker_of(client, int(words[1]))):
            break
        begin = line_end + 2
        end = begin + int(words[-1])
        if end + 2 > len(data):
            break
        if sizes == 2:
            headers, begin = data[begin : begin + int(words[-2])], begin + int(words[-2])
            if taker.reads_headers or _is_status(headers):
                break
        _hand_over(client, taker.take, words[0], reply, data[begin:end])
        at = end + 2
    return at


def _taker_of(client: Client, sid: int) -> Taker | None:
    """None also when the subscription is over."""
    taker: Taker | None = getattr(client._subs.get(sid), TAKER, None)
    return taker


def _hand_over(client: Client, take: Take, subject: bytes, reply: bytes, data: bytes) -> None:
    client.stats["in_msgs"] += 1
    client.stats["in_bytes"] += len(data)
    message = Msg(client, subject.decode(errors="replace"), reply.decode(errors="replace"), data)
    try:
        take(message)
    except Exception:
        # As nats-py does with the error of a callback: the connection is none the worse.
        log.exception("a message could not be taken", subject=message.subject)


def _text(given: bytes) -> bytes:
    return given if given.isascii() else given.decode(errors="replace").encode()


def _readable(headers: bytes) -> bytes:
    """Without them, when their first line is none or its status no text; nats-py reads the other lines with care."""
    behind = headers[HEADERS_BEGIN : HEADERS_BEGIN + 1]
    return b"" if not behind or (behind == b" " and not headers.isascii()) else headers


def _is_status(headers: bytes) -> bool:
    return headers[HEADERS_BEGIN : HEADERS_BEGIN + 1] == b" "
