"""NATS and Postgres as children of the tests: killed, frozen, left out and started again at will."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from services.cli.local.nats_server import prepare_nats
from services.cli.local.postgres_server import prepare_postgres
from services.cli.local.state import LocalState, is_listening
from tests.eventually import eventually
from tests.ports import free_port


@dataclass
class Server:
    """One real server in a process group of its own."""

    command: list[str]
    port: int
    #: What a clean stop is: Postgres ends its sessions on SIGINT.
    stop_signal: int = signal.SIGINT
    #: Of one that listens before it can do anything.
    is_ready: Callable[[], Awaitable[bool]] | None = None
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Until it listens, and is ready."""
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        await eventually(lambda: is_listening(self.port), f"{Path(self.command[0]).name} on port {self.port}")
        if self.is_ready is not None:
            await eventually(self.is_ready, f"{Path(self.command[0]).name} ready", timeout_s=60)

    def signal(self, number: int) -> None:
        """To all its processes; those of Postgres have left its process group."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _processes(self) -> list[psutil.Process]:
        if self.process is None or self.process.returncode is not None:
            return []
        server = psutil.Process(self.process.pid)
        return [server, *server.children(recursive=True)]

    async def kill(self) -> None:
        """Until all its processes are gone: Postgres does not start while one holds its shared memory."""
        processes = self._processes()
        self.signal(signal.SIGKILL)
        await self._gone()
        await asyncio.to_thread(psutil.wait_procs, processes, timeout=10)

    async def stop(self) -> None:
        self.signal(signal.SIGCONT)
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(self.stop_signal)
        await self._gone()

    async def _gone(self) -> None:
        if self.process is not None:
            await self.process.wait()
        self.process = None


@dataclass
class Servers:
    """One NATS and one Postgres under a folder."""

    folder: Path
    state: LocalState = field(default_factory=lambda: LocalState(nats_port=free_port(), postgres_port=free_port()))

    def __post_init__(self) -> None:
        #: By name; more than one is a cluster.
        self.nats_members = {"pipewright": Server(prepare_nats(self.state, self.folder), self.state.nats_port)}
        command = prepare_postgres(self.state, self.folder)
        self.postgres = Server(command, self.state.postgres_port, is_ready=self._takes_connections)

    async def _takes_connections(self) -> bool:
        """After a crash it listens and recovers first; to a database that every server has."""
        url = self.state.database_url.removesuffix("/pipewright") + "/postgres"
        try:
            await (await psycopg.AsyncConnection.connect(url)).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def nats(self) -> Server:
        """The one that services are told of."""
        return next(iter(self.nats_members.values()))

    async def start(self) -> None:
        for server in (self.postgres, *self.nats_members.values()):
            await server.start()

    async def stop(self) -> None:
        for server in (*self.nats_members.values(), self.postgres):
            await server.stop()

    def wipe_nats(self) -> None:
        """Everything that JetStream has kept; only while it does not run."""
        shutil.rmtree(self.folder / "nats" / "store", ignore_errors=True)
