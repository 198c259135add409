"""Examines an installation: every finding says what is wrong and what to do."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import nats.errors
import nats.js.errors
import psycopg
from nats.aio.client import Client
from nats.js import JetStreamContext

from services.cli.nats_sync import problem_of_sync
from services.cli.output import counted
from services.cli.setup import MIGRATIONS
from services.executors.registry import BUILT_IN
from shared.bus.address import connect_once
from shared.bus.topology import compare_node_type_durable, compare_topology
from shared.client import PipewrightClient
from shared.client_nats import NatsTransport
from shared.contracts.pipelines import NodeTypeView
from shared.errors import ServiceError, UnavailableError, words_of

#: Less free space than this is worth a word.
FREE_SPACE = 1024**3


@dataclass(frozen=True)
class Finding:
    check: str
    is_good: bool
    detail: str


async def examine(
    nats_url: str, database_url: str, data_dir: Path, replicas: int = 1, monitoring_url: str | None = None
) -> list[Finding]:
    findings = [await _postgres(database_url)]
    if monitoring_url:
        problem = await problem_of_sync(monitoring_url)
        findings.append(Finding("JetStream", problem is None, problem or "syncs every write"))
    try:
        client = await connect_once(nats_url, timeout_s=3)
    except UnavailableError as error:
        return [*findings, Finding("NATS", False, str(error)), _disk(data_dir)]
    try:
        findings += [finding async for finding in _nats(client, replicas)]
        findings += [finding async for finding in _services(PipewrightClient(NatsTransport(client)))]
    except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
        findings.append(Finding("NATS", False, f"stopped answering: {words_of(error)}."))
    finally:
        await client.close()
    return [*findings, _disk(data_dir)]


async def _postgres(database_url: str) -> Finding:
    try:
        async with await psycopg.AsyncConnection.connect(database_url, connect_timeout=3) as connection:
            missing = []
            for schema, folder in MIGRATIONS.items():
                names = {path.name for path in folder.glob("*.sql")}
                missing += [f"{schema}/{name}" for name in sorted(names - await _applied(connection, schema))]
    except psycopg.errors.InsufficientPrivilege:
        return Finding("Postgres", False, "answers, but this role may not look. Use that of 'pipewright migrate'.")
    except psycopg.Error as error:
        words = str(error).strip().splitlines()[0]
        return Finding("Postgres", False, f"does not answer ({words}). Start it, or correct its address.")
    if missing:
        return Finding("Postgres", False, f"migrations are missing: {', '.join(missing)}. Run 'pipewright migrate'.")
    return Finding("Postgres", True, "answers, and all migrations are applied")


async def _applied(connection: psycopg.AsyncConnection[tuple[str]], schema: str) -> set[str]:
    cursor = await connection.execute("SELECT to_regclass(%s)::text", (f"{schema}.migrations",))
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return set()
    query = psycopg.sql.SQL("SELECT name FROM {}").format(psycopg.sql.Identifier(schema, "migrations"))
    return {row[0] for row in await (await connection.execute(query)).fetchall()}


async def _nats(client: Client, replicas: int) -> AsyncIterator[Finding]:
    jetstream = client.jetstream(timeout=3)
    try:
        differences = await compare_topology(jetstream, replicas)
    except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
        yield Finding("NATS", False, "JetStream does not answer. Switch it on in the server's configuration.")
        return
    if differences:
        yield Finding("NATS", False, f"{'; '.join(differences)}. Run 'pipewright topology'.")
    else:
        yield Finding("NATS", True, "answers, and streams, consumers and buckets are there")


async def _services(client: PipewrightClient) -> AsyncIterator[Finding]:
    try:
        await client.list_runs(limit=1)
        yield Finding("coordinator", True, "answers")
    except ServiceError as error:
        yield Finding("coordinator", False, f"{error} Start it with 'pipewright serve coordinator'.")
    try:
        types = {kind.node_type: kind for kind in await client.node_types()}
    except ServiceError as error:
        yield Finding("definition", False, f"{error} Start it with 'pipewright serve definition'.")
        return
    yield Finding("definition", True, "answers")
    jetstream = client.nats.jetstream(timeout=3)
    for name in sorted({*BUILT_IN, *types}):
        yield await _type(jetstream, name, types.get(name))


async def _type(jetstream: JetStreamContext, name: str, kind: NodeTypeView | None) -> Finding:
    check = f"type {name}"
    if kind is None or not kind.is_online:
        if name not in BUILT_IN:
            return Finding(check, True, "offline; its work waits until its worker is back")
        return Finding(check, False, f"no worker serves it. Start one with 'pipewright serve worker --types {name}'.")
    if wrong := await compare_node_type_durable(jetstream, name):
        advice = "The definition service puts that right within 30 s; if not, its log says why."
        return Finding(check, False, f"{'; '.join(wrong)}. {advice}")
    return Finding(check, True, f"{counted(len(kind.workers), 'worker')}, {counted(kind.slots, 'slot')}")


def _disk(data_dir: Path) -> Finding:
    folder = data_dir if data_dir.exists() else Path.cwd()
    free = shutil.disk_usage(folder).free
    if free < FREE_SPACE:
        return Finding("disk", False, f"only {free // 1024**2} MiB are free under {folder}. Make room.")
    return Finding("disk", True, f"{free // 1024**3} GiB are free")
