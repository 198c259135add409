"""Backup: Postgres alone is dumped; from it, and a NATS that is empty or newer, everything goes on."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from services.cli.local.postgres_server import find_binaries
from services.cli.local.state import LocalState
from services.cli.setup import MIGRATIONS, make_topology, migrate_all
from shared.contracts import subjects
from shared.contracts.runs import Run
from shared.contracts.states import RunStatus
from shared.errors import ServiceError
from tests.eventually import eventually
from tests.integration.engine import Engine
from tests.integration.hand_worker import completed
from tests.integration.processes import serving
from tests.permitted import make_roles
from tests.servers import nats_server, postgres_server

WORDS = {"key": "a", "type": "text", "config": {"content": "{{ input.word }}"}}


async def dump(database_url: str, file: Path) -> None:
    """As docs/operations.md says, of a database whose services have roles of their own."""
    await asyncio.to_thread(make_roles, database_url)
    assert not any((await migrate_all(database_url)).values())
    await run("pg_dump", "--format=custom", f"--file={file}", f"--dbname={database_url}")


async def run(program: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(find_binaries() / program, *arguments, stderr=subprocess.PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


@asynccontextmanager
async def restored(folder: Path, file: Path) -> AsyncIterator[str]:
    """The URL of a fresh Postgres that holds what was dumped, ready for the services."""
    folder.mkdir()
    async with postgres_server(folder) as state:
        await eventually(lambda: is_made(state), "the database")
        # What was granted to them is in the dump; they are not.
        await asyncio.to_thread(make_roles, state.database_url)
        await run("pg_restore", "--exit-on-error", f"--dbname={state.database_url}", str(file))
        assert not any((await migrate_all(state.database_url)).values())
        yield state.database_url


async def is_made(state: LocalState) -> bool:
    try:
        async with await psycopg.AsyncConnection.connect(
            state.database_url.removesuffix("/pipewright") + "/postgres", autocommit=True
        ) as connection:
            await connection.execute("CREATE DATABASE pipewright")
    except psycopg.OperationalError:
        return False
    return True


async def contents(database_url: str) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    found = {}
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s)", (list(MIGRATIONS),)
        )
        for schema, table in await cursor.fetchall():
            name = psycopg.sql.Identifier(schema, table)
            rows = await connection.execute(psycopg.sql.SQL("SELECT whole::text FROM {} AS whole").format(name))
            found[f"{schema}.{table}"] = sorted(row[0] for row in await rows.fetchall())
    return found


async def a_finished_run(engine: Engine) -> Run:
    run_id = await engine.start("pair")
    await engine.worker.fail(await engine.worker.take_one(), retryable=True)
    for _ in "ab":
        await engine.worker.complete(await engine.worker.take_one())
    return await engine.ends(run_id)


async def unfinished_runs(engine: Engine) -> dict[str, UUID]:
    """One in each state that a run can be in when the lights go out."""
    found = {"held": (await engine.client.run("pair", hold=True)).run_id}
    found["waits for a retry"] = await engine.start("pair")
    await engine.worker.fail(await engine.worker.take_one(), retryable=True, retry_after_s=10)
    found["half done"] = await engine.start("pair")
    await engine.worker.complete(await engine.worker.take_one())
    await engine.worker.take_one()
    found["held by a worker"] = await engine.start("pair")
    ready = await engine.worker.take_one()
    await engine.worker.beat(ready)
    await eventually(
        lambda: engine.query("SELECT node_key FROM runs.node_results WHERE lease_until IS NOT NULL"), "a lease"
    )
    found["waits in the stream"] = await engine.start("pair")
    await eventually(engine.worker.waiting, "its work")
    await engine.settled()
    return found


async def finish(engine: Engine, run_ids: set[UUID]) -> None:
    """Do all work that comes, until these runs have ended."""

    async def work() -> None:
        while True:
            await engine.worker.complete(await engine.worker.take_one(timeout_s=60))

    working = asyncio.create_task(work())
    try:
        for run_id in run_ids:
            await engine.client.wait(run_id, 60)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def test_from_a_dump_and_an_empty_nats_every_run_goes_on_to_its_end(engine: Engine, tmp_path: Path) -> None:
    await engine.apply("pair", "ab", [("a", "b")], a={"retry": {"max_attempts": 3, "initial_delay_s": 0.1}})
    finished = await a_finished_run(engine)
    unfinished = await unfinished_runs(engine)
    before = await contents(engine.database_url)
    await dump(engine.database_url, tmp_path / "backup")
    # What is done after the dump is lost, and done again.
    await engine.worker.complete(await engine.worker.take_one())

    async with restored(tmp_path / "restored", tmp_path / "backup") as database_url:
        assert await contents(database_url) == before
        assert all(before[table] for table in ("runs.attempts", "runs.node_results", "definition.versions"))
        async with nats_server(tmp_path / "restored") as nats_url:
            await make_topology(nats_url)
            async with Engine.started(nats_url, database_url) as again:
                assert await again.read(finished.id) == finished
                await again.client.release(unfinished["held"])
                await finish(again, set(unfinished.values()))
                runs = {name: await again.read(run_id) for name, run_id in unfinished.items()}

    assert {run.status for run in runs.values()} == {RunStatus.COMPLETED}
    attempts = {name: [len(node.attempts) for node in run.node_results or []] for name, run in runs.items()}
    # A worker that held its work for longer than a second counts as dead; all other work is sent again as it was.
    assert attempts == {
        "held": [1, 1],
        "waits for a retry": [2, 1],
        "half done": [1, 1],
        "held by a worker": [2, 1],
        "waits in the stream": [1, 1],
    }


async def test_a_postgres_that_is_older_than_nats_does_again_what_it_does_not_know(
    nats_url: str, database_url: str, tmp_path: Path
) -> None:
    settings = {"PIPEWRIGHT_NATS_URL": nats_url}
    async with Engine.started(nats_url, database_url) as engine:
        await engine.apply("single", "a")
        async with serving(tmp_path, "worker", "--types", "text", **settings):
            await eventually(lambda: is_known(engine, "text"), "the type")
            await engine.client.apply({"name": "words", "slug": "words", "nodes": [WORDS]})
        ended_later = await engine.start("single")
        ready = await engine.worker.take_one()
        cancelled_later = (await engine.client.run("words", {"word": "late"})).run_id
        await dump(database_url, tmp_path / "backup")
        await engine.worker.complete(ready)
        await engine.ends(ended_later)
        await engine.client.cancel(cancelled_later)
        unknown = (await engine.client.run("single", idempotency_key="started after the dump")).run_id
        work_of_unknown = await engine.worker.take_one()

    async with (
        restored(tmp_path / "restored", tmp_path / "backup") as older_url,
        Engine.started(nats_url, older_url) as again,
    ):
        # The bucket still tells workers that this run is over: it is to be made anew, as docs/operations.md says.
        ended = await again.jetstream.key_value(subjects.ENDED_RUNS_BUCKET)
        assert await ended.keys() == [str(cancelled_later)]
        await again.jetstream.delete_stream(subjects.ENDED_RUNS_STREAM)
        await make_topology(nats_url)

        await again.worker.say(completed(work_of_unknown))
        with pytest.raises(ServiceError) as refused:
            await again.client.get_run(unknown)
        assert refused.value.problem.status == 404
        assert (await again.client.run("single", idempotency_key="started after the dump")).run_id != unknown

        async with serving(tmp_path, "worker", "--types", "text", **settings):
            await finish(again, {ended_later, cancelled_later})
        assert (await again.read(ended_later)).status is RunStatus.COMPLETED
        assert (await again.read(cancelled_later)).output == {"a": {"text": "late"}}


async def is_known(engine: Engine, node_type: str) -> bool:
    return any(kind.node_type == node_type and kind.is_online for kind in await engine.client.node_types())
