"""A small HTTP server on loopback, for clients that are tested: it answers what it is told and keeps what it got."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    #: Path and query.
    target: str
    #: Names in lower case.
    headers: dict[str, str]
    body: bytes
    #: Which connection it came on, counted from 1.
    connection: int


@dataclass
class Answer:
    """What the server says next; `body` is sent in these parts."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: list[bytes] = field(default_factory=list)
    #: False leaves the length open until the connection ends.
    has_length: bool = True
    #: Waits for this after so many parts of the body.
    waits_for: asyncio.Event | None = None
    waits_after: int = 0
    #: Sent as it is, instead of all the rest.
    raw: bytes | None = None


def text(body: str | bytes = "", status: int = 200, **headers: str) -> Answer:
    """Header names are written with `_` for `-`."""
    found = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Answer(status, found, [body.encode() if isinstance(body, str) else body])


def json(body: object, status: int = 200, **headers: str) -> Answer:
    return text(orjson.dumps(body), status, **{"content_type": "application/json", **headers})


Decide = Callable[[Request], Answer | Awaitable[Answer]]


class Server:
    """Answers `answers` in turn, the last one again and again; or what `decide` makes of a request."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Request] = []
        self.answers: list[Answer] = [text("fine")]
        self.decide: Decide | None = None
        self.connections = 0
        #: Set when the other side went away before its answer was sent.
        self.was_left = asyncio.Event()
        self._handlers: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Request:
        return self.requests[-1]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self.connections += 1
        connection = self.connections
        try:
            while (request := await _read(reader, connection)) is not None:
                self.requests.append(request)
                if not await self._answer(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            self.was_left.set()
        finally:
            self._handlers.discard(task)
            writer.close()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """True when the connection can be used again."""
        if self.decide is not None:
            made = self.decide(request)
            answer = made if isinstance(made, Answer) else await made
        else:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer.raw is not None:
            writer.write(answer.raw)
            await writer.drain()
            return False
        length = [("content-length", str(sum(map(len, answer.body))))] if answer.has_length else []
        head = [f"HTTP/1.1 {answer.status} Said", *(f"{name}: {value}" for name, value in [*answer.headers, *length])]
        writer.write("\r\n".join([*head, "", ""]).encode())
        await writer.drain()
        for number, part in enumerate(answer.body):
            if answer.waits_for is not None and number == answer.waits_after:
                await self._wait(answer.waits_for, reader)
            writer.write(part)
            await writer.drain()
        return answer.has_length

    async def _wait(self, event: asyncio.Event, reader: asyncio.StreamReader) -> None:
        """Until the event, or until the other side leaves."""
        waits = [asyncio.create_task(event.wait()), asyncio.create_task(reader.read(1))]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        if not event.is_set():
            raise ConnectionResetError

    async def close(self) -> None:
        for task in list(self._handlers):
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)


async def _read(reader: asyncio.StreamReader, connection: int) -> Request | None:
    """None when the other side is done."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body, connection)


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """A server on a free port, for as long as it is entered."""
    server = Server()
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0, limit=2**20)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await server.close()
        await listening.wait_closed()
