"""The same request to NATS, again and again, at next to no cost: one block of bytes out, and answers that are not
parsed further than to their ends. A client library costs more than the services that are asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import orjson

from shared.bus.address import read_address
from shared.tasks import Tasks

CHUNK = 1024 * 1024
#: Bytes that wait in this process.
MOST_UNSENT = 1024 * 1024
INBOX = "_INBOX.flood"
END = b"\r\n"


class PlainRequests:
    """Of one subject, on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frame: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._frame = frame
        self._heard: Callable[[bytes], None] = lambda answer: None

    def on_answer(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard

    def ask(self, most: int) -> int:
        """As many as find room; returns how many that were. The server makes who publishes too much wait."""
        room = MOST_UNSENT - self._writer.transport.get_write_buffer_size()
        count = max(0, min(most, room // len(self._frame)))
        self._writer.write(self._frame * count)
        return count

    async def read(self) -> None:
        """For ever."""
        rest = b""
        while chunk := await self._reader.read(CHUNK):
            rest = self._parse(rest + chunk)

    def _parse(self, data: bytes) -> bytes:
        """Hears all whole messages; returns what is left."""
        at = 0
        while (end := data.find(END, at)) >= 0:
            line, after = data[at:end], end + len(END)
            if line.startswith(b"MSG"):
                until = after + int(line.rpartition(b" ")[2])
                if until + len(END) > len(data):
                    break
                self._heard(data[after:until])
                after = until + len(END)
            elif line == b"PING":
                self._writer.write(b"PONG" + END)
            elif line.startswith(b"-ERR"):
                raise AssertionError(line.decode())
            at = after
        return data[at:]


@asynccontextmanager
async def plain_requests(nats_url: str, subject: str, body: bytes) -> AsyncIterator[PlainRequests]:
    address = read_address(nats_url)
    reader, writer = await asyncio.open_connection(*address.hosts[0], limit=CHUNK)
    greeting = {"verbose": False, "pedantic": False, "user": address.user, "pass": address.password}
    writer.write(b"CONNECT " + orjson.dumps(greeting) + END + f"SUB {INBOX} 1".encode() + END)
    frame = f"PUB {subject} {INBOX} {len(body)}".encode() + END + body + END
    made = PlainRequests(reader, writer, frame)
    async with Tasks([made.read()]):
        yield made
    writer.close()
