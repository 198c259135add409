"""Brings Postgres and NATS into the shape that the services expect; safe to run twice and at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import nats.errors
import nats.js.errors
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shared.bus.address import connect_once
from shared.bus.topology import Difference, apply_topology
from shared.postgres import MIGRATION_LOCK, migrate

#: A cluster has a leader by then, or it has too few servers.
ELECTION_S = 60.0
#: Errors of a cluster whose servers have not found each other yet: no suitable peers, and temporarily unavailable.
NOT_YET = (10005, 10008)

#: After a crash Postgres first replays what it had logged, up to `max_wal_size`.
RECOVERY_S = 300.0

SERVICES_FOLDER = Path(__file__).parent.parent

#: Postgres schema -> the folder of its migrations.
MIGRATIONS = {
    "definition": SERVICES_FOLDER / "definition" / "migrations",
    "runs": SERVICES_FOLDER / "coordinator" / "migrations",
    "gateway": SERVICES_FOLDER / "gateway" / "migrations",
}


async def migrate_all(database_url: str) -> dict[str, list[str]]:
    """Make the database if it is missing, then apply what each schema has not seen; returns what was applied.

    Where the roles of deploy/postgres/roles.sql are there, each gets the rights that its service needs.
    """
    await _ensure_database(database_url)
    applied = {schema: await migrate(database_url, schema, folder) for schema, folder in MIGRATIONS.items()}
    await _grant(database_url)
    return applied


async def migrate_patiently(database_url: str) -> None:
    """As `migrate_all`, on a server that was just started: it answers its port before it takes sessions.

    Raises psycopg.OperationalError when it still takes none after `RECOVERY_S`.
    """
    deadline = time.monotonic() + RECOVERY_S
    while True:
        try:
            await migrate_all(database_url)
        except psycopg.OperationalError as error:
            if "starting up" not in str(error) or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def _grant(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        for folder in MIGRATIONS.values():
            service = folder.parent
            cursor = await connection.execute(
                "SELECT FROM pg_roles WHERE rolname = %s", (f"pipewright_{service.name}",)
            )
            if await cursor.fetchone() is not None:
                await connection.execute((service / "grants.sql").read_bytes())


async def _ensure_database(database_url: str) -> None:
    try:
        connection = await psycopg.AsyncConnection.connect(database_url)
        await connection.close()
    except psycopg.OperationalError as error:
        parameters = conninfo_to_dict(database_url)
        name = str(parameters.get("dbname", ""))
        if "does not exist" not in str(error) or not name:
            raise
        url = make_conninfo(database_url, dbname="postgres")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
            await admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


async def make_topology(nats_url: str, replicas: int = 1) -> list[Difference]:
    """Waits for a cluster that is still electing its leader; raises UnavailableError, an error of nats-py,
    or TopologyError."""
    client = await connect_once(nats_url)
    try:
        async with asyncio.timeout(ELECTION_S):
            while True:
                try:
                    return await apply_topology(client.jetstream(timeout=5), replicas)
                except nats.js.errors.APIError as error:
                    if error.err_code not in NOT_YET:
                        raise
                except nats.errors.TimeoutError:
                    # Nobody leads; a single server, and one without JetStream, answers at once.
                    continue
                await asyncio.sleep(0.25)
    finally:
        await client.close()
