"""A client that sends half a request, and those that are slow for good reasons."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from shared import patience
from shared.serving import Server
from tests.ports import free_port

PATIENCE_S = 0.8
HEAD = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\n"


class Slow:
    """Answers with the body, when it may."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await self.may.wait()
        await PlainTextResponse(body)(scope, receive, send)


class Connection:
    """One of a client's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, *parts: bytes, pause_s: float = 0.0) -> None:
        for part in parts:
            self._writer.write(part)
            await asyncio.sleep(pause_s)

    async def answer(self) -> bytes:
        """Its body."""
        await self._reader.readuntil(b"\r\n\r\n")
        return await self._reader.readexactly(4)

    async def ends(self) -> None:
        async with asyncio.timeout(10):
            assert await self._reader.read() == b""


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def connection(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connection]:
    monkeypatch.setattr(patience, "PATIENCE_S", PATIENCE_S)
    port = free_port()
    async with Server(slow, "127.0.0.1", port).running():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield Connection(reader, writer)
        writer.close()


@pytest.mark.parametrize("sent", [b"", HEAD[:20], HEAD, HEAD + b"ab"])
async def test_half_a_request_is_not_waited_for_for_ever(connection: Connection, sent: bytes):
    await connection.say(sent)

    await connection.ends()


async def test_half_of_a_second_request_is_not_either(connection: Connection):
    await connection.say(HEAD + b"text")
    assert await connection.answer() == b"text"

    await connection.say(HEAD[:20])

    await connection.ends()


async def test_a_head_that_comes_byte_by_byte_has_no_more_time(connection: Connection):
    saying = asyncio.create_task(connection.say(*([b"x"] * 100), pause_s=PATIENCE_S / 10))

    await connection.ends()

    saying.cancel()


async def test_a_body_may_come_slowly(connection: Connection):
    await connection.say(HEAD, b"t", b"e", b"x", b"t", pause_s=PATIENCE_S / 3)

    assert await connection.answer() == b"text"


async def test_an_answer_may_take_its_time(connection: Connection, slow: Slow):
    slow.may.clear()
    await connection.say(HEAD + b"text")
    asyncio.get_running_loop().call_later(PATIENCE_S * 2, slow.may.set)

    assert await connection.answer() == b"text"
