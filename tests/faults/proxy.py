"""A TCP proxy that can cut connections, swallow what is sent, or drop the answer to a commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CHUNK = 64 * 1024
#: Bytes that mark a commit in Postgres's protocol: as it is spelled, and the statement that mostly is a transaction by
#: itself.
COMMITS = (b"COMMIT", b"save_decision")


@dataclass
class Proxy:
    """Carries connections to `target_port`."""

    target_port: int
    port: int = 0
    #: Set by `cut_next_commit`: the next commit reaches the server, its answer reaches nobody.
    _cuts_commit: bool = False
    commits_cut: int = 0
    #: How often somebody has connected.
    connections: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _carrying: set[asyncio.Task[None]] = field(default_factory=set)
    _passing: asyncio.Event = field(default_factory=asyncio.Event)

    def black_hole(self) -> None:
        """Nothing passes in either direction any more, and nobody is told."""
        self._passing.clear()

    def black_hole_connected(self) -> None:
        """The same for whoever is connected now, for ever; who connects anew gets through."""
        self.black_hole()
        self._passing = asyncio.Event()
        self.heal()

    def heal(self) -> None:
        self._passing.set()

    def cut(self) -> None:
        """End every connection at once, as a firewall that was restarted does."""
        for writer in list(self._writers):
            writer.transport.abort()

    def end(self) -> None:
        """Also of those connections that nothing passes through for ever."""
        for task in self._carrying:
            task.cancel()

    def cut_next_commit(self) -> None:
        self._cuts_commit = True

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self.connections += 1
        ends, passing = {writer, far_writer}, self._passing
        self._writers |= ends
        tasks = [
            asyncio.create_task(self._carry(reader, far_writer, passing, is_request=True, near=writer)),
            asyncio.create_task(self._carry(far_reader, writer, passing, is_request=False, near=writer)),
        ]
        try:
            self._carrying.update(tasks)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._carrying.difference_update(tasks)
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        passing: asyncio.Event,
        *,
        is_request: bool,
        near: asyncio.StreamWriter,
    ) -> None:
        while data := await reader.read(CHUNK):
            await passing.wait()
            writer.write(data)
            await writer.drain()
            if is_request and self._cuts_commit and any(mark in data for mark in COMMITS):
                self._cuts_commit = False
                self.commits_cut += 1
                # The server has it; whoever sent it never learns what became of it.
                near.transport.abort()
                await reader.read(-1)


@asynccontextmanager
async def proxying(target_port: int) -> AsyncIterator[Proxy]:
    """A proxy on a free port, for as long as it is entered."""
    proxy = Proxy(target_port)
    proxy.heal()
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.end()
        proxy.cut()
        await server.wait_closed()
