"""Real servers from their wheels, each in a directory of its own: what `pipewright up` starts, without the rest."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from services.cli.local.nats_server import prepare_nats
from services.cli.local.postgres_server import prepare_postgres
from services.cli.local.state import LocalState, is_listening
from services.cli.setup import migrate_patiently
from tests.eventually import eventually
from tests.ports import free_port

TEMPLATE = "migrated"


@asynccontextmanager
async def postgres_server(folder: Path) -> AsyncIterator[LocalState]:
    """Of no durability: nobody cuts its power, and at its stop the files of hundreds of databases would be synced."""
    state = LocalState(postgres_port=free_port())
    command = [*prepare_postgres(state, folder), "--fsync=off"]
    async with running(command, state.postgres_port):
        yield state


@asynccontextmanager
async def nats_server(folder: Path, max_payload: str = "1MB") -> AsyncIterator[str]:
    """The URL of a server with an empty store."""
    state = LocalState(nats_port=free_port())
    command = prepare_nats(state, folder)
    configuration = Path(command[2])
    configuration.write_text(configuration.read_text().replace("max_payload: 1MB", f"max_payload: {max_payload}"))
    async with running(command, state.nats_port):
        yield state.nats_url


@asynccontextmanager
async def monitored_nats_server(folder: Path, *, is_synced: bool) -> AsyncIterator[tuple[str, str]]:
    """The URL of a server, and that of its monitoring port."""
    state, port = LocalState(nats_port=free_port()), free_port()
    command = [*prepare_nats(state, folder), "--http_port", str(port)]
    configuration = Path(command[2])
    if not is_synced:
        configuration.write_text(configuration.read_text().replace("sync_interval: always", "sync_interval: 2m"))
    async with running(command, state.nats_port):
        yield state.nats_url, f"http://127.0.0.1:{port}"


@asynccontextmanager
async def running(command: list[str], port: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        await eventually(lambda: is_listening(port), f"{command[0]} on port {port}")
        yield
    finally:
        # SIGINT is Postgres's fast shutdown, and ends NATS too.
        process.send_signal(2)
        await process.wait()


async def make_template(state: LocalState) -> None:
    """A database with all tables, for others to be copied from: migrations take five times as long."""
    await migrate_patiently(_url(state, TEMPLATE))


async def make_database(state: LocalState, name: str) -> str:
    """A copy of the template; returns its URL."""
    async with await psycopg.AsyncConnection.connect(_url(state, "postgres"), autocommit=True) as connection:
        await connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(*map(sql.Identifier, (name, TEMPLATE)))
        )
    return _url(state, name)


def _url(state: LocalState, name: str) -> str:
    return f"{state.database_url.removesuffix('/pipewright')}/{name}"
