"""Messages that are handed over as they are read, however the bytes of the connection fall."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.arrivals import subscribe
from shared.bus.wire import command, write
from tests.eventually import eventually

HEADERS = b"NATS/1.0\r\nOne: 1\r\n\r\n"
STATUS = b"NATS/1.0 408 Request Timeout\r\n\r\n"
NO_TEXT = b"NATS/1.0 \xff\r\n\r\n"
#: A body that looks like what the server says next.
TRAP = b"+OK\r\nMSG a 1 3\r\nabc\r\n"


class Ears:
    """Two subscriptions of one connection: one that takes at once, and one as nats-py makes it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, bytes]] = []
        self.called: list[tuple[str, str, bytes]] = []
        self.statuses: list[str] = []

    async def open(self, client: Client) -> tuple[int, int]:
        at_once = await subscribe(client, "at.once", self._take, self._on_status)
        by_callback = await client.subscribe("by.callback", cb=self._on_message)
        return at_once._id, by_callback._id

    def _take(self, message: Msg) -> None:
        self.taken.append((message.subject, message.reply, message.data))
        if message.data == b"boom":
            raise ValueError("whoever takes it has a fault")

    async def _on_message(self, message: Msg) -> None:
        self.called.append((message.subject, message.reply, message.data))

    async def _on_status(self, message: Msg) -> None:
        self.statuses.append((message.headers or {})["Status"])


def msg(sid: int, body: bytes, reply: bytes = b"", *, subject: bytes = b"a.b", headers: bytes = b"") -> bytes:
    sizes = [b"%d" % len(headers)] if headers else []
    words = [b"HMSG" if headers else b"MSG", subject, b"%d" % sid, *([reply] if reply else []), *sizes]
    return b" ".join([*words, b"%d" % (len(headers) + len(body))]) + b"\r\n" + headers + body + b"\r\n"


async def parse(client: Client, data: bytes) -> None:
    """As nats-py does with what it has read."""
    await client._ps.parse(data)


async def receive(client: Client, data: bytes) -> None:
    """As asyncio does with what the connection brings."""
    client._transport._io_reader.feed_data(data)  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 333, 100_000])
@pytest.mark.parametrize("give", [parse, receive])
async def test_all_is_read_however_it_is_cut(
    client: Client, size: int, give: Callable[[Client, bytes], Awaitable[None]]
) -> None:
    ears = Ears()
    at_once, by_callback = await ears.open(client)
    said = [
        msg(at_once, b"1", b"reply.1"),
        msg(at_once, b""),
        msg(by_callback, b"2", b"reply.2"),
        msg(at_once, TRAP, headers=HEADERS),
        b"PING\r\n",
        msg(at_once, b"x" * 5000, b"reply.3", headers=HEADERS),
        msg(at_once, b"", headers=STATUS),
        msg(at_once, b"boom"),
        msg(at_once, b"4", headers=NO_TEXT),
        msg(by_callback, TRAP, headers=HEADERS),
        b"+OK\r\n",
        msg(at_once, b"5", b"r\xff", subject=b"a.\xff"),
        msg(at_once, b"6"),
    ]
    data = b"".join(said)

    for at in range(0, len(data), size):
        await give(client, data[at : at + size])

    await eventually(lambda: ears.taken and ears.taken[-1][2] == b"6", "the last message")
    assert ears.taken == [
        ("a.b", "reply.1", b"1"),
        ("a.b", "", b""),
        ("a.b", "", TRAP),
        ("a.b", "reply.3", b"x" * 5000),
        ("a.b", "", b"boom"),
        ("a.b", "", b"4"),
        ("a.\ufffd", "r\ufffd", b"5"),
        ("a.b", "", b"6"),
    ]
    assert await eventually(lambda: ears.called if len(ears.called) == 2 else None, "two messages") == [
        ("a.b", "reply.2", b"2"),
        ("a.b", "", TRAP),
    ]
    assert await eventually(lambda: ears.statuses or None, "the status") == ["408"]


@pytest.mark.parametrize("body", [b"", b"x" * 20_000], ids=["small", "more than a connection takes at once"])
async def test_what_is_written_together_arrives_in_its_order(client: Client, body: bytes) -> None:
    ears = Ears()
    await ears.open(client)
    before = client.stats["in_msgs"]
    bodies = [b"%d%b" % (number, body) for number in range(2000)]

    for at in range(0, len(bodies), 100):
        write(client, [command("at.once", found, "re", {"One": "1"}) for found in bodies[at : at + 100]])

    await eventually(lambda: len(ears.taken) == 2000 or None, "all messages")
    assert ears.taken == [("at.once", "re", found) for found in bodies]
    assert client.stats["in_msgs"] - before == 2000


async def test_messages_are_taken_before_they_are_read_also_on_the_next_connection(client: Client) -> None:
    ears = Ears()
    await ears.open(client)
    await client.flush()
    connection = client._transport
    first = connection._io_reader
    connection._io_writer.transport.abort()
    await eventually(lambda: connection._io_reader is not first and client.is_connected, "another connection")
    await client.flush()
    read: list[bytes] = []
    parse = client._ps.parse

    async def parse_and_tell(data: bytes = b"") -> None:
        read.append(data)
        await parse(data)

    client._ps.parse = parse_and_tell  # type: ignore[method-assign]
    write(client, [command("at.once", b"early"), command("by.callback", b"late")])

    await eventually(lambda: ears.called or None, "the second message")
    assert ears.taken == [("at.once", "", b"early")]
    assert not [data for data in read if b"early" in data]
