"""Retention: runs that ended long ago are deleted whole, in batches, by one at a time; all others stay."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest

from services.coordinator.retention import Retention
from services.coordinator.store.retention import delete_batch
from shared.clock import new_id
from shared.contracts.states import RunStatus
from shared.errors import ServiceError
from shared.postgres import Pool, make_pool
from tests.eventually import eventually
from tests.integration.engine import Engine
from tests.integration.hand_worker import completed
from tests.integration.processes import command

MONTH = timedelta(days=30)
#: What belongs to a run, by the column that every such table has.
TABLES_OF_RUNS = (
    "SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) "
    "WHERE table_schema = 'runs' AND column_name = 'run_id' AND table_type = 'BASE TABLE'"
)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = make_pool(database_url, "test")
    await opened.open(wait=True)
    yield opened
    await opened.close()


async def a_run_with_everything(engine: Engine) -> UUID:
    """It was held and started by hand, failed once, has a large output, and told its end to somebody."""
    run_id = (await engine.client.run("everything", hold=True)).run_id
    await engine.query(
        "INSERT INTO runs.webhooks (id, run_id, url, secret) VALUES (%s, %s, 'http://h/', %s)",
        new_id(), run_id, b"s" * 32,
    )  # fmt: skip
    await engine.client.release(run_id)
    await engine.worker.fail(await engine.worker.take_one(), retryable=True)
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)
    await engine.query("INSERT INTO runs.payloads VALUES (%s, 'a', '{}')", run_id)
    await engine.query("INSERT INTO runs.queues VALUES (%s, 'step', 0, '{a}')", run_id)
    await engine.query(
        "UPDATE runs.webhook_deliveries SET status = 'delivered', next_attempt_at = NULL, sent_at = NULL, "
        "finished_at = now() WHERE run_id = %s",
        run_id,
    )
    return run_id


async def age(engine: Engine, run_id: UUID, days: int) -> None:
    """As if all of it had been so long ago."""
    await engine.query(
        "UPDATE runs.pipeline_runs SET created_at = created_at - gone, finished_at = finished_at - gone "
        "FROM make_interval(days => %s) AS gone WHERE id = %s",
        days, run_id,
    )  # fmt: skip


async def rows_of(engine: Engine, run_id: UUID) -> dict[str, int]:
    """How many rows each table has of a run."""
    found = {}
    for table in [row["table_name"] for row in await engine.query(TABLES_OF_RUNS)]:
        [row] = await engine.query(f"SELECT count(*) AS count FROM runs.{table} WHERE run_id = %s", run_id)
        found[table] = row["count"]
    return found


async def run_ids(engine: Engine) -> set[UUID]:
    return {row["id"] for row in await engine.query("SELECT id FROM runs.pipeline_runs")}


async def many_runs(engine: Engine, count: int, nodes: int, days: int) -> None:
    """Ended runs of a pipeline with so many nodes, each a minute younger than the one before."""
    await engine.apply(f"many-{nodes}", "abcdefghijklmnopqrstuvwxyz"[:nodes])
    run_id = await engine.start(f"many-{nodes}")
    await engine.client.cancel(run_id)
    await engine.worker.take(nodes)
    await engine.query(
        "INSERT INTO runs.pipeline_runs (id, pipeline_id, pipeline_slug, version_id, status, input, request_sha256, "
        "unfinished, created_at, finished_at) "
        "SELECT runs.new_id(), pipeline_id, pipeline_slug, version_id, status, input, request_sha256, "
        "unfinished, at, at "
        "FROM runs.pipeline_runs, generate_series(1, %s) AS number, "
        "LATERAL (SELECT now() - make_interval(days => %s, mins => -number) AS at) AS moment WHERE id = %s",
        count, days, run_id,
    )  # fmt: skip
    await engine.query(
        "INSERT INTO runs.node_results (run_id, node_key, node_index, node_type, status, waiting_for) "
        "SELECT run.id, node_key, node_index, node_type, 'skipped', 0 FROM runs.pipeline_runs AS run "
        "JOIN runs.version_nodes USING (version_id) WHERE run.pipeline_slug = %s AND run.id <> %s",
        f"many-{nodes}", run_id,
    )  # fmt: skip
    await age(engine, run_id, 500)
    await engine.query("SELECT runs.delete_expired('499 days', 1, 1)")


async def test_all_that_belongs_to_an_old_run_goes_with_it_and_a_young_one_keeps_all(
    engine: Engine, pool: Pool
) -> None:
    await engine.apply("everything", "a", a={"retry": {"max_attempts": 2, "initial_delay_s": 0.1}})
    old = await a_run_with_everything(engine)
    await age(engine, old, 31)
    young = await a_run_with_everything(engine)
    await age(engine, young, 29)
    before = await rows_of(engine, young)

    deleted = await Retention(pool, MONTH).sweep()

    assert all(before.values()), before
    # Queues go with their run, and nobody counts them.
    assert deleted == Counter(before | {"queues": 0}) + Counter(pipeline_runs=1)
    assert not any((await rows_of(engine, old)).values())
    assert await rows_of(engine, young) == before
    assert await run_ids(engine) == {young}


async def test_what_has_not_ended_is_kept_however_old_it_is(engine: Engine, pool: Pool) -> None:
    await engine.apply("slow", "a")
    held = (await engine.client.run("slow", hold=True)).run_id
    running = await engine.start("slow")
    ready = await engine.worker.take_one()
    for run_id in (held, running):
        await age(engine, run_id, 400)

    assert await Retention(pool, MONTH).sweep() == Counter()

    await engine.worker.complete(ready)
    await engine.ends(running)
    # It began long ago and ended now.
    assert await Retention(pool, MONTH).sweep() == Counter()
    assert await run_ids(engine) == {held, running}


async def test_a_run_whose_end_is_still_to_be_told_is_kept(engine: Engine, pool: Pool) -> None:
    await engine.apply("everything", "a", a={"retry": {"max_attempts": 2, "initial_delay_s": 0.1}})
    run_id = await a_run_with_everything(engine)
    await age(engine, run_id, 31)
    await engine.query(
        "UPDATE runs.webhook_deliveries SET status = 'pending', finished_at = NULL, next_attempt_at = 'infinity'"
    )

    assert await Retention(pool, MONTH).sweep() == Counter()

    assert await run_ids(engine) == {run_id}


async def test_batches_are_bounded_and_the_oldest_go_first(engine: Engine, pool: Pool) -> None:
    await many_runs(engine, 25, 2, days=40)
    by_age = [row["id"] for row in await engine.query("SELECT id FROM runs.pipeline_runs ORDER BY created_at")]
    left, sizes = [], []
    async with pool.connection() as connection:
        for _ in range(4):
            deleted = await delete_batch(connection, MONTH, most_runs=10)
            assert deleted is not None
            sizes.append((deleted["pipeline_runs"], deleted["node_results"]))
            left.append(await run_ids(engine))

    assert sizes == [(10, 20), (10, 20), (5, 10), (0, 0)]
    assert left == [set(by_age[10:]), set(by_age[20:]), set(), set()]


@pytest.mark.parametrize(("most_nodes", "runs"), [(1, 1), (21, 1), (22, 2), (45, 4), (1000, 5)])
async def test_a_batch_of_large_runs_has_fewer_of_them(engine: Engine, pool: Pool, most_nodes: int, runs: int) -> None:
    await many_runs(engine, 5, 11, days=40)

    async with pool.connection() as connection:
        deleted = await delete_batch(connection, MONTH, most_nodes=most_nodes)

    assert deleted is not None
    assert (deleted["pipeline_runs"], deleted["node_results"]) == (runs, runs * 11)


async def test_while_one_deletes_another_does_nothing(engine: Engine, pool: Pool) -> None:
    await many_runs(engine, 3, 1, days=40)
    async with pool.connection() as first, pool.connection() as second:
        async with first.transaction():
            deleted = await delete_batch(first, MONTH, most_runs=1)
            assert deleted is not None
            assert deleted["pipeline_runs"] == 1
            assert await delete_batch(second, MONTH) is None
        deleted = await delete_batch(second, MONTH)

    assert deleted is not None
    assert deleted["pipeline_runs"] == 2


async def test_several_at_once_delete_each_run_once(engine: Engine, pool: Pool, database_url: str) -> None:
    await many_runs(engine, 60, 2, days=40)

    def by_hand() -> int:
        done = command("runs", "prune", "--older-than", "30d", "--json", PIPEWRIGHT_DATABASE_URL=database_url)
        assert done.returncode == 0, done.stderr
        count: int = orjson.loads(done.stdout)["pipeline_runs"]
        return count

    sweeps = [Retention(pool, MONTH).sweep() for _ in range(3)]
    *swept, pruned, again = await asyncio.gather(*sweeps, asyncio.to_thread(by_hand), asyncio.to_thread(by_hand))

    assert sum(one["pipeline_runs"] for one in swept) + pruned + again == 60
    assert await run_ids(engine) == set()


async def test_a_coordinator_deletes_by_its_setting_and_only_then(engine: Engine) -> None:
    await many_runs(engine, 5, 1, days=40)

    async def are_gone() -> bool:
        return await run_ids(engine) == set()

    async with engine.coordinator(retention_days=60):
        await engine.apply("meanwhile", "a")
        run_id = await engine.start("meanwhile")
        await engine.worker.complete(await engine.worker.take_one())
        await engine.ends(run_id)
        assert len(await run_ids(engine)) == 6
    await age(engine, run_id, 31)
    async with engine.coordinator(retention_days=30):
        await eventually(are_gone, "the end of old runs")


async def test_what_comes_late_for_a_deleted_run_changes_nothing(engine: Engine, pool: Pool) -> None:
    await engine.apply("late", "ab")
    run_id = (await engine.client.run("late", idempotency_key="again")).run_id
    first, second = await engine.worker.take(2)
    await engine.client.cancel(run_id)
    await age(engine, run_id, 31)
    await Retention(pool, MONTH).sweep()

    await engine.worker.beat(first)
    await engine.worker.say(completed(first), completed(second))
    await engine.settled()

    with pytest.raises(ServiceError) as refused:
        await engine.client.get_run(run_id)
    assert refused.value.problem.status == 404
    assert not any((await rows_of(engine, run_id)).values())
    # With the run its idempotency key is forgotten.
    started = (await engine.client.run("late", idempotency_key="again")).run_id
    assert started != run_id
    await engine.worker.complete(*await engine.worker.take(2))
    await engine.ends(started, RunStatus.COMPLETED)


async def test_runs_prune_counts_before_it_deletes(engine: Engine, database_url: str) -> None:
    await many_runs(engine, 3, 2, days=40)

    def prune(*arguments: str) -> Any:
        done = command("runs", "prune", *arguments, "--json", PIPEWRIGHT_DATABASE_URL=database_url)
        assert done.returncode == 0, done.stderr
        return orjson.loads(done.stdout)

    assert not any((await asyncio.to_thread(prune, "--older-than", "6w")).values())
    assert await asyncio.to_thread(prune, "--older-than", "30d", "--dry-run") == {"pipeline_runs": 3}
    assert len(await run_ids(engine)) == 3
    done = await asyncio.to_thread(prune, "--older-than", "30d")
    assert (done["pipeline_runs"], done["node_results"]) == (3, 6)
    assert await run_ids(engine) == set()


@pytest.mark.parametrize("age", ["0d", "30", "12h", "-1d", "d", "99999w"])
def test_runs_prune_refuses_what_is_no_age(age: str) -> None:
    done = command("runs", "prune", f"--older-than={age}", PIPEWRIGHT_DATABASE_URL="postgresql://127.0.0.1:1/none")

    assert done.returncode == 2
    assert f"--older-than {age}: write it as 30d, 6w or 1y" in done.stderr


async def test_nobody_deletes_what_ended_within_a_day(pool: Pool, database_url: str) -> None:
    async with pool.connection() as connection:
        with pytest.raises(psycopg.errors.RestrictViolation, match="at least a day"):
            await delete_batch(connection, timedelta(hours=23))
