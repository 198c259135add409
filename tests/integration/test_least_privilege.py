"""The whole system as it is shipped: each service under its own user of NATS and its own role of Postgres."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest
import yaml

from services.cli.local.state import LocalState
from services.cli.setup import MIGRATIONS, make_topology, migrate_all
from services.executors.registry import BUILT_IN
from shared.client import PipewrightClient
from shared.errors import ServiceError
from tests.e2e.graphs import journey
from tests.eventually import eventually
from tests.ledger import Ledger, ledger
from tests.permitted import PermittedNats, make_roles, permitted_nats
from tests.ports import free_port
from tests.stack import PIPEWRIGHT, clean_environment

EXAMPLES = Path(__file__).parents[2] / "examples"
API_KEY = "test-key-of-the-permitted-system"
#: What NATS and Postgres say when they refuse.
REFUSALS = ("permissions violation", "permission denied", "authorization violation", "must be owner")


@dataclass
class System:
    """All services, and what they wrote into their logs."""

    nats: PermittedNats
    roles: dict[str, str]
    port: int
    ledger: Ledger
    logs: Path

    def refusals(self) -> list[str]:
        lines = (line for path in sorted(self.logs.glob("*.log")) for line in path.read_text().splitlines())
        return [line for line in lines if any(words in line.lower() for words in REFUSALS)]


@pytest.fixture(scope="module")
async def roles(postgres: LocalState) -> dict[str, str]:
    """A database that is migrated by the role for it; the URL of each role."""
    admin = postgres.database_url.removesuffix("/pipewright") + "/permitted"

    async def is_made() -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(
                postgres.database_url.removesuffix("/pipewright") + "/postgres", autocommit=True
            ) as connection:
                await connection.execute("CREATE DATABASE permitted")
        except psycopg.OperationalError:
            return False
        return True

    await eventually(is_made, "Postgres")
    found = await asyncio.to_thread(make_roles, admin)
    # Again: nothing that is there stands in the way, and passwords change.
    found = await asyncio.to_thread(make_roles, admin)
    await migrate_all(found["migrator"])
    assert not any((await migrate_all(found["migrator"])).values())
    return found


@pytest.fixture(scope="module")
async def system(roles: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    folder = tmp_path_factory.mktemp("system")
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(permitted_nats(folder))
        await make_topology(nats.url("topology"))
        made = System(nats, roles, free_port(), stack.enter_context(ledger()), folder / "logs")
        made.logs.mkdir()
        for name, command, settings in parts(made):
            await stack.enter_async_context(running(made, name, command, settings))
        async with PipewrightClient.connect(nats.url("internal-client")) as client:

            async def is_up() -> bool:
                types = await client.node_types()
                return {kind.node_type for kind in types if kind.is_online} >= set(BUILT_IN)

            await eventually(is_asked(is_up), "the node types", 60)
        async with httpx.AsyncClient() as http:
            await eventually(lambda: is_ready(http, made.port), "the gateway", 60)
        yield made


def is_asked(question: Any) -> Any:
    """False while nobody answers."""

    async def asked() -> bool:
        try:
            return bool(await question())
        except ServiceError:
            return False

    return asked


async def is_ready(http: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await http.get(f"http://127.0.0.1:{port}/api/v3/ready")).status_code == 200
    except httpx.HTTPError:
        return False


def parts(system: System) -> list[tuple[str, list[str], dict[str, str]]]:
    """Name, command and settings of each process; each is told of its own credentials alone."""
    model = free_port()
    demo = f"from services.cli.services import run_demo; run_demo('model', {model}, lambda: None)"
    database = {name: {"PIPEWRIGHT_DATABASE_URL": url} for name, url in system.roles.items()}
    more: dict[str, dict[str, str]] = {
        "coordinator": {"PIPEWRIGHT_SECRET": "a secret of at least thirty-two characters"},
        "gateway": {"PIPEWRIGHT_PORT": str(system.port), "PIPEWRIGHT_API_KEY": API_KEY},
        "http_request": {"PIPEWRIGHT_ALLOW_ADDRESSES": f"127.0.0.1:{system.ledger.port}"},
        "llm": {"PIPEWRIGHT_LLM_PROVIDER": "demo", "PIPEWRIGHT_LLM_URLS": f"demo=http://127.0.0.1:{model}/v1"},
    }
    services = [
        (name, [PIPEWRIGHT, "serve", name], {"PIPEWRIGHT_NATS_URL": system.nats.url(name)} | database[name])
        for name in ("definition", "coordinator", "gateway")
    ]
    workers = [
        (
            name,
            [PIPEWRIGHT, "serve", "worker", "--types", name],
            {"PIPEWRIGHT_NATS_URL": system.nats.url(f"executor-{name}")},
        )
        for name in BUILT_IN
    ]
    known = [(name, command, settings | more.get(name, {})) for name, command, settings in [*services, *workers]]
    return [("demo", [sys.executable, "-c", demo], {}), *known]


@asynccontextmanager
async def running(system: System, name: str, command: list[str], settings: dict[str, str]) -> AsyncIterator[None]:
    with (system.logs / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, env=clean_environment() | settings, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
async def client(system: System) -> AsyncIterator[PipewrightClient]:
    async with PipewrightClient.connect(system.nats.url("internal-client")) as connected:
        yield connected


@pytest.fixture
async def api(system: System) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{system.port}/api/v3", headers=headers, timeout=60
    ) as made:
        yield made


async def finished(client: PipewrightClient, slug: str, run_input: dict[str, Any]) -> dict[str, Any]:
    run = await client.run(slug, run_input)
    assert (await client.wait(run.run_id, 60)).status.value == "completed"
    return (await client.get_run(run.run_id)).output or {}


async def test_an_example_runs_for_another_service(system: System, client: PipewrightClient) -> None:
    await client.apply(yaml.safe_load((EXAMPLES / "review.yaml").read_text()))

    output = await finished(client, "review", {"text": "I waited an hour, but the cake was worth it"})

    assert output["report"]["text"].startswith("Summary: [demo model, not a real one]")
    assert system.refusals() == []


async def test_every_type_works_and_a_request_waits_in_its_stream(system: System, client: PipewrightClient) -> None:
    await client.apply(journey("permitted-journey", system.ledger.url))

    output = await finished(client, "permitted-journey", {"number": 3})
    run_id = await client.request_run("permitted-journey", {"number": 4})

    assert output["join"]["text"].endswith("number 3")
    assert (await client.wait(run_id, 60)).status.value == "completed"
    assert system.refusals() == []


async def test_bodies_over_the_size_of_a_message_travel(system: System, client: PipewrightClient) -> None:
    nodes = [
        {"key": "large", "type": "transform", "config": {"expression": "input.words"}},
        {"key": "size", "type": "text", "config": {"content": "{{ nodes.large.value | size }}"}},
    ]
    edges = [{"source": "large", "target": "size"}]
    await client.apply({"name": "Large", "slug": "large", "nodes": nodes, "edges": edges})

    output = await finished(client, "large", {"words": "w" * 900_000})

    assert output == {"size": {"text": "900000"}}
    assert system.refusals() == []


async def test_a_run_that_ends_early_is_told_to_the_workers(system: System, client: PipewrightClient) -> None:
    await client.apply(journey("permitted-cancel", system.ledger.url))
    started = await client.run("permitted-cancel", {"number": 5})

    cancelled = await client.cancel(started.run_id)

    assert cancelled.status.value in ("cancelled", "completed")
    assert system.refusals() == []


async def test_rest_works_with_keys_and_events(system: System, api: httpx.AsyncClient) -> None:
    document = yaml.safe_load((EXAMPLES / "greeting.yaml").read_text())
    assert (await api.post("/pipelines", json=document)).status_code == 201
    assert (await api.post("/pipelines/greeting/publish")).status_code == 200
    made = await api.post("/api_keys", json={"name": "reader", "scopes": ["runs:read"]})
    reader = {"authorization": f"Bearer {made.json()['key']}"}

    async with api.stream("GET", "/events", headers=reader) as events:
        lines = events.aiter_lines()
        assert events.status_code == 200
        await anext(lines)
        run = (await api.post("/pipelines/greeting/execute?wait=20", json={"input": {"name": "Ada"}})).json()
        told = [orjson.loads(line[6:]) async for line in first_event(lines)]
    assert (run["status"], run["output"]) == ("completed", {"greet": {"text": "Hello, Ada!"}})
    assert told[0]["run_id"] == run["id"]
    async with api.stream("GET", f"/pipeline_runs/{run['id']}/events", headers=reader) as events:
        assert "event: end" in (await events.aread()).decode()
    assert system.refusals() == []


async def first_event(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        if line.startswith("data: "):
            yield line
            return


@pytest.mark.parametrize("role", ["definition", "coordinator", "gateway"])
async def test_a_role_reads_its_own_schema_and_no_other(roles: dict[str, str], role: str) -> None:
    owner = {folder.parent.name: schema for schema, folder in MIGRATIONS.items()}
    tables = {schema: await tables_of(roles["migrator"], schema) for schema in MIGRATIONS}

    for schema, names in tables.items():
        for name in names:
            is_own = schema == owner[role] and name != "migrations"
            assert await is_allowed(roles[role], f"SELECT FROM {schema}.{name} LIMIT 1") is is_own, (role, name)
        for statement in (f"CREATE TABLE {schema}.mine ()", f"DROP SCHEMA {schema} CASCADE"):
            assert not await is_allowed(roles[role], statement)
    assert not await is_allowed(roles[role], "CREATE TABLE public.mine ()")
    assert not await is_allowed(roles[role], "CREATE SCHEMA mine")


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("coordinator", "DELETE FROM runs.attempts"),
        ("coordinator", "UPDATE runs.attempts SET worker = 'me'"),
        ("coordinator", "DELETE FROM runs.audit"),
        ("coordinator", "DELETE FROM runs.pipeline_runs"),
        ("coordinator", "DELETE FROM runs.node_results"),
        ("coordinator", "TRUNCATE runs.node_results"),
        ("definition", "SELECT runs.delete_expired('30 days', 1, 1)"),
        ("gateway", "SELECT runs.delete_expired('30 days', 1, 1)"),
        ("coordinator", "ALTER TABLE runs.node_results DISABLE TRIGGER ALL"),
        ("definition", "UPDATE definition.versions SET number = 2"),
        ("definition", "DELETE FROM definition.versions"),
        ("definition", "DELETE FROM definition.node_types"),
        ("gateway", "DELETE FROM gateway.api_keys"),
        ("gateway", "SET ROLE pipewright_migrator"),
        ("migrator", "CREATE ROLE more"),
    ],
)
async def test_a_role_cannot_remove_what_is_for_ever(roles: dict[str, str], role: str, statement: str) -> None:
    assert not await is_allowed(roles[role], statement)


async def test_a_coordinator_deletes_whole_runs_that_ended_long_ago(roles: dict[str, str]) -> None:
    assert await is_allowed(roles["coordinator"], "SELECT runs.delete_expired('1 day', 1, 1)")
    with pytest.raises(psycopg.errors.RestrictViolation):
        await is_allowed(roles["coordinator"], "SELECT runs.delete_expired('23 hours', 1, 1)")


async def tables_of(url: str, schema: str) -> list[str]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,))
        return [str(row[0]) for row in await cursor.fetchall()]


async def is_allowed(url: str, statement: str) -> bool:
    """False when Postgres refuses it for want of rights; what it would have done is rolled back."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        try:
            await connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return False
        finally:
            await connection.rollback()
    return True
