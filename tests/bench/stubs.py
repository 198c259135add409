"""Other people's servers, as little as can be: a JSON API and a chat-completions model, in one process."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from tests.ports import free_port

ITEM = b'{"id": 1, "title": "bridges"}'
ANSWER = (
    b'{"id": "1", "object": "chat.completion", "model": "bench", "choices": [{"index": 0, "finish_reason": "stop", '
    b'"message": {"role": "assistant", "content": "Bridges carry people."}}], '
    b'"usage": {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}}'
)


class _Server(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; GET gives the item, POST the answer after `delay_s`."""

    calls = 0
    most_calls = 0
    delay_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if len(self._received) < end + 4 + length:
                return
            self._received = self._received[end + 4 + length :]
            self._answer(head.startswith(b"POST"))

    def _answer(self, is_model: bool) -> None:
        if not is_model:
            self._send(ITEM)
        elif not _Server.delay_s:
            _Server.most_calls = max(_Server.most_calls, 1)
            self._send(ANSWER)
        else:
            _Server.calls += 1
            _Server.most_calls = max(_Server.most_calls, _Server.calls)
            asyncio.get_running_loop().call_later(_Server.delay_s, self._finish)

    def _finish(self) -> None:
        _Server.calls -= 1
        self._send(ANSWER)

    def _send(self, body: bytes) -> None:
        if not self._transport.is_closing():
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(head + body)


class Stubs:
    """Talks to the process that serves: sets the model's delay, asks how many calls were in flight at most."""

    def __init__(self, port: int, pid: int, pipe: Connection) -> None:
        self.port, self.pid, self._pipe = port, pid, pipe
        self.url = f"http://127.0.0.1:{port}"

    def set_delay(self, delay_s: float) -> None:
        self._pipe.send(delay_s)
        self._pipe.recv()

    def most_calls(self) -> int:
        """At the same time, since the last time that this was asked."""
        self._pipe.send(None)
        most: int = self._pipe.recv()
        return most


@contextmanager
def stubs() -> Iterator[Stubs]:
    ours, theirs = multiprocessing.Pipe()
    port = free_port()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(port, theirs), daemon=True)
    process.start()
    ours.recv()
    assert process.pid is not None
    try:
        yield Stubs(port, process.pid, ours)
    finally:
        process.terminate()
        process.join()


def _serve(port: int, pipe: Connection) -> None:
    uvloop.run(_serve_forever(port, pipe))


async def _serve_forever(port: int, pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Server, "127.0.0.1", port, backlog=1024)

    def on_question() -> None:
        asked = pipe.recv()
        if asked is None:
            pipe.send(_Server.most_calls)
            _Server.most_calls = 0
        else:
            _Server.delay_s = asked
            pipe.send(True)

    loop.add_reader(pipe.fileno(), on_question)
    pipe.send(True)
    await server.serve_forever()
