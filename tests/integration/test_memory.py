"""Runs that a coordinator remembers, and what becomes of them when something else changes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from prometheus_client import REGISTRY

from services.coordinator.tokens import Tokens
from tests.eventually import eventually
from tests.integration.engine import SECRET, Engine
from tests.integration.hand_worker import Ready, completed, failed

DIAMOND = (("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))


def read() -> float:
    """How many batches were read before they were settled."""
    return REGISTRY.get_sample_value("pipewright_settles_read_total") or 0.0


async def test_a_run_that_began_here_is_settled_without_reading_it(engine: Engine) -> None:
    await engine.apply("remembered", "abcd", DIAMOND)
    before = read()

    run_id = await engine.start("remembered")
    for count in (1, 2, 1):
        await engine.worker.say(*map(completed, await engine.worker.take(count)))

    run = await engine.ends(run_id)
    assert run.output == {"d": {"said": "d"}}
    assert read() == before


async def test_a_run_that_another_changed_is_read_again(engine: Engine) -> None:
    await engine.apply("changed", "ab", [("a", "b")])
    before = read()
    run_id, beside = await engine.start("changed"), await engine.start("changed")
    works = await engine.worker.take(2)
    # What any transaction does that changes a run.
    await engine.query("UPDATE runs.pipeline_runs SET event_seq = event_seq + 1 WHERE id = %s", run_id)

    await engine.worker.say(*map(completed, works))
    await engine.worker.say(*map(completed, await engine.worker.take(2)))

    for one in (run_id, beside):
        run = await engine.ends(one)
        assert [len(node.attempts) for node in run.node_results or []] == [1, 1]
    assert read() > before
    [row] = await engine.query("SELECT event_seq FROM runs.pipeline_runs WHERE id = %s", run_id)
    assert row["event_seq"] == 4


async def test_nodes_are_not_locked_while_a_run_is_waited_for(engine: Engine) -> None:
    """Everybody locks a run before its nodes; who did not would be waited for by those whom it waits for."""
    await engine.apply("held", "ab", [("a", "b")])
    run_id = await engine.start("held")
    work = await engine.worker.take_one()
    async with await psycopg.AsyncConnection.connect(engine.database_url) as other:
        await other.execute("SELECT FROM runs.pipeline_runs WHERE id = %s FOR UPDATE", (run_id,))
        await engine.worker.complete(work)
        await eventually(lambda: _is_anybody_waiting(engine), "a settlement that waits for its run")
        await other.execute("SELECT FROM runs.node_results WHERE run_id = %s FOR UPDATE NOWAIT", (run_id,))

    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)


async def _is_anybody_waiting(engine: Engine) -> bool:
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await engine.query(waiting))


async def test_an_attempt_that_another_ended_is_not_settled_from_memory(engine: Engine) -> None:
    await engine.apply("overtaken", "a", a={"retry": {"max_attempts": 2, "initial_delay_s": 0}})
    run_id = await engine.start("overtaken")
    work = await engine.worker.take_one()
    # As a reconciler elsewhere would, that has heard nothing of its worker.
    await engine.query(
        "WITH run AS (UPDATE runs.pipeline_runs SET event_seq = event_seq + 1 WHERE id = %s RETURNING id) "
        "UPDATE runs.node_results AS node SET attempt = 2 FROM run WHERE node.run_id = run.id",
        run_id,
    )

    await engine.worker.say(completed(work))
    await engine.settled()
    assert await engine.statuses(run_id) == {"a": "running"}

    await engine.worker.say(completed(work | {"attempt": 2, "token": Tokens(SECRET).make(str(run_id), "a", 2)}))
    await engine.ends(run_id)


async def test_retries_and_cancels_of_its_own_leave_no_doubt(engine: Engine) -> None:
    await engine.apply("tried", "a", a={"retry": {"max_attempts": 2, "initial_delay_s": 0}})
    await engine.apply("plain", "ab", [("a", "b")])
    tried = await engine.start("tried")
    await engine.worker.fail(await engine.worker.take_one(), retryable=True)
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(tried)
    cancelled = await engine.start("plain")
    late = await engine.worker.take_one()
    await engine.client.cancel(cancelled)
    await engine.worker.complete(late)
    await engine.settled()
    before = read()

    run_id = await engine.start("plain")
    for _ in "ab":
        await engine.worker.complete(await engine.worker.take_one())

    await engine.ends(run_id)
    assert read() == before


@pytest.mark.parametrize("says", [completed, failed])
async def test_a_run_is_told_alike_by_who_saw_it_end_and_by_others(
    nats_url: str, database_url: str, says: Callable[[Ready], dict[str, Any]]
) -> None:
    async with Engine.started(nats_url, database_url, has_coordinator=False) as engine:
        async with engine.coordinator():
            await engine.apply("told", "abc", [("a", "b"), ("a", "c")])
            run_id = await engine.start("told")
            await engine.worker.say(completed(await engine.worker.take_one()))
            await engine.worker.say(*map(says, await engine.worker.take(2)))
            await engine.client.wait(run_id, 30)
            seen = await engine.client.get_run(run_id)
        async with engine.coordinator():
            read = await engine.client.get_run(run_id)

    assert read == seen
    assert seen.output == ({"b": {"said": "b"}, "c": {"said": "c"}} if says is completed else None)
