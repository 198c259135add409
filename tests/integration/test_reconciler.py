"""What is lost is found from Postgres alone: messages, streams, workers and coordinators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from nats.js.api import RetentionPolicy

from services.cli.setup import make_topology
from services.coordinator import resends, stream_ages
from services.coordinator.store.queries import query
from services.coordinator.store.reconciling import send_again
from shared.contracts import subjects
from shared.contracts.states import AttemptOutcome
from shared.postgres import PLANNER, as_json, make_pool
from tests.eventually import eventually
from tests.integration.engine import Engine
from tests.integration.hand_worker import Ready, completed


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """All clocks are this machine's, so that less time has to pass until something is known to be lost."""
    monkeypatch.setattr(stream_ages, "MARGIN", timedelta(seconds=2))


async def test_work_lost_from_the_stream_is_sent_again_under_the_same_attempt(engine: Engine) -> None:
    await engine.apply("lost-work", "ab")
    run_id = await engine.start("lost-work")
    await eventually(lambda: engine.worker.waiting(), "the work")

    await engine.jetstream.purge_stream(subjects.NODE_WORK)

    readies = await engine.worker.take(2, timeout_s=30)
    assert [(ready["attempt"], ready["dispatch"]) for ready in readies] == [(1, 2), (1, 2)]
    await engine.worker.complete(*readies)
    await engine.ends(run_id)


async def test_work_that_the_stream_refused_beside_other_work_is_sent_again(engine: Engine) -> None:
    """Nodes that leave together are acknowledged as a whole, by the last of them."""
    large = {"config": {"say": "{{ nodes.a.said }}"}}
    await engine.apply("refused-work", "abcd", [("a", "b"), ("a", "c"), ("a", "d")], c=large)
    run_id = await engine.start("refused-work")
    first = await engine.worker.take_one()
    config = (await engine.jetstream.stream_info(subjects.NODE_WORK)).config
    await engine.jetstream.update_stream(config, max_msg_size=2000)

    await engine.worker.complete(first, output={"said": "x" * 3000})

    taken = await engine.worker.take(2)
    assert [ready["node_key"] for ready in taken] == ["b", "d"]
    await engine.jetstream.update_stream(config)
    await engine.worker.complete(*taken)
    again = await engine.worker.take_one()
    assert (again["node_key"], again["attempt"], again["dispatch"]) == ("c", 1, 2)
    await engine.worker.complete(again)
    await engine.ends(run_id)


async def test_runs_with_nothing_out_are_not_looked_into_for_lost_work(engine: Engine) -> None:
    retry = {"max_attempts": 2, "initial_delay_s": 600, "max_delay_s": 600}
    await engine.apply("waits-long", "a", a={"retry": retry})
    run_id = await engine.start("waits-long")
    await engine.worker.fail(await engine.worker.take_one(), retryable=True)
    await eventually(lambda: engine.query("SELECT 1 FROM runs.node_results WHERE retry_at IS NOT NULL"), "the retry")
    gone = as_json([{"node_type": "step", "before": "2999-01-01T00:00:00Z"}])

    async with await psycopg.AsyncConnection.connect(engine.database_url, options=PLANNER) as connection:
        cursor = await connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + query("load_lost"), (gone,))
        [(plan,)] = await cursor.fetchall()

    scans = [step for step in _steps(plan[0]["Plan"]) if step.get("Relation Name") == "node_results"]
    assert [step["Actual Loops"] for step in scans] == [0]
    await engine.client.cancel(run_id)


def _steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _steps(below)


async def test_work_whose_results_nobody_can_read_is_given_up_in_the_end(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker from outside the tree that says something else: its work is done, and nobody is told whose it was."""
    monkeypatch.setattr(resends, "MOST_SENDS", 1)
    await engine.apply("odd-worker", "a", a={"retry": {"max_attempts": 2, "initial_delay_s": 0}})
    run_id = await engine.start("odd-worker")
    taken = []
    for _ in range(2):
        ready = await engine.worker.take_one(timeout_s=30)
        taken.append((ready["attempt"], ready["dispatch"]))
        await engine.jetstream.publish(subjects.node_result("step"), b"all is well")
        await engine.worker.acknowledge(ready)

    last = await engine.worker.take_one(timeout_s=30)
    await engine.worker.complete(last)

    [node] = (await engine.ends(run_id)).node_results or []
    assert [*taken, (last["attempt"], last["dispatch"])] == [(1, 1), (1, 2), (2, 1)]
    assert [attempt.outcome for attempt in node.attempts] == [AttemptOutcome.WORKER_DIED, AttemptOutcome.COMPLETED]
    assert await engine.parked("node_result") == 2


async def test_first_result_of_an_attempt_wins_whatever_its_dispatch(engine: Engine) -> None:
    await engine.apply("sent-twice", "a")
    run_id = await engine.start("sent-twice")
    first = await engine.worker.take_one()
    await engine.worker.acknowledge(first)
    second = await engine.worker.take_one(timeout_s=30)

    await engine.worker.say(completed(first, {"said": "first"}))
    await engine.worker.complete(second, output={"said": "second"})

    run = await engine.ends(run_id)
    await engine.settled()
    assert run.output == {"a": {"said": "first"}}
    assert len((run.node_results or [])[0].attempts) == 1


async def test_work_that_waits_is_not_sent_again(engine: Engine) -> None:
    await engine.apply("waiting", "ab")
    run_id = await engine.start("waiting")
    # Both are lost for those who only look at the time; one message still waits in the stream.
    first, second = await engine.worker.take(2)

    await engine.worker.beat(first)
    await eventually(lambda: _is_leased(engine, "a"), "the lease")
    await eventually(lambda: _has_no_lease(engine, "a"), "the end of the lease")

    [row] = await engine.query("SELECT attempt, dispatch FROM runs.node_results WHERE node_key = 'a'")
    assert row == {"attempt": 1, "dispatch": 1}
    await engine.worker.complete(first, second)
    await engine.ends(run_id)


async def test_dead_worker_whose_message_is_gone_costs_an_attempt(engine: Engine) -> None:
    await engine.apply("dead-worker", "a", a={"retry": {"max_attempts": 2, "initial_delay_s": 0}})
    run_id = await engine.start("dead-worker")
    first = await engine.worker.take_one()
    await engine.worker.beat(first)
    await eventually(lambda: _is_leased(engine, "a"), "the lease")

    await engine.worker.acknowledge(first)

    second = await engine.worker.take_one(timeout_s=30)
    assert (second["attempt"], second["dispatch"]) == (2, 1)
    await engine.worker.complete(second)
    run = await engine.ends(run_id)
    [node] = run.node_results or []
    assert [attempt.outcome for attempt in node.attempts] == [AttemptOutcome.WORKER_DIED, AttemptOutcome.COMPLETED]


@pytest.mark.parametrize("stream", [subjects.NODE_WORK, subjects.NODE_RESULTS, subjects.RUN_EVENTS])
async def test_run_goes_on_when_a_stream_is_deleted_and_made_anew(engine: Engine, stream: str) -> None:
    await engine.apply("deleted-stream", "ab", [("a", "b")])
    run_id = await engine.start("deleted-stream")
    await engine.worker.take_one()

    await engine.jetstream.delete_stream(stream)
    await make_topology(engine.nats_url)
    await engine.worker.announce()
    await engine.worker.subscribe()

    first = await engine.worker.take_one(timeout_s=40)
    await engine.worker.complete(first)
    await engine.worker.complete(await engine.worker.take_one(timeout_s=30))
    await engine.ends(run_id)


async def test_coordinator_takes_over_what_another_left(engine: Engine) -> None:
    await engine.apply("taken-over", "ab", [("a", "b")])
    run_id = await engine.start("taken-over")
    ready = await engine.worker.take_one()
    # Committed, and never announced: as when a coordinator dies between commit and publish.
    await engine.query(
        "UPDATE runs.node_results SET dispatched_at = dispatched_at - interval '1 minute' WHERE run_id = %s", run_id
    )
    await engine.query(
        "UPDATE runs.pipeline_runs SET started_at = started_at - interval '1 minute' WHERE id = %s", run_id
    )
    await engine.worker.acknowledge(ready)

    again = await engine.worker.take_one(timeout_s=30)

    assert (again["attempt"], again["dispatch"]) == (1, 2)
    await engine.worker.complete(again)
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)


async def test_broken_counters_of_a_silent_run_are_made_anew(engine: Engine) -> None:
    await engine.apply("broken-counters", "abc", [("a", "c"), ("b", "c")])
    run_id = await engine.start("broken-counters")
    first, second = await engine.worker.take(2)
    await engine.worker.complete(first, second)
    last = await engine.worker.take_one()
    await engine.query(
        "UPDATE runs.node_results SET status = 'pending', waiting_for = 2, live = 0 "
        "WHERE run_id = %s AND node_key = 'c'",
        run_id,
    )
    await engine.query(
        "UPDATE runs.pipeline_runs SET changed_at = changed_at - interval '1 minute', lanes = '{}' WHERE id = %s",
        run_id,
    )

    repaired = await engine.worker.take_one(timeout_s=30)

    assert repaired["node_key"] == last["node_key"] == "c"
    await engine.worker.complete(repaired)
    await engine.ends(run_id)


async def test_work_lost_behind_work_that_is_held_for_long_is_sent_again(engine: Engine) -> None:
    await engine.apply("held-long", "ab")
    held = await engine.start("held-long")
    long, short = await engine.worker.take(2)
    async with _beating(engine, long, short):
        await eventually(lambda: _is_leased(engine, "b"), "the leases")
        lost = await engine.start("held-long")
        await eventually(lambda: engine.worker.waiting(), "the work")
        for message in range(3, 5):
            await engine.jetstream.delete_msg(subjects.NODE_WORK, message)

        again = await engine.worker.take(2, timeout_s=30)

        assert [(ready["run_id"], ready["attempt"], ready["dispatch"]) for ready in again] == [(str(lost), 1, 2)] * 2
        assert (await engine.jetstream.stream_info(subjects.NODE_WORK)).state.messages == 4, "the others are held still"
    await engine.worker.complete(long, short, *again)
    await engine.ends(held)
    await engine.ends(lost)


async def test_work_lost_behind_that_of_a_cancelled_run_is_sent_again(engine: Engine) -> None:
    """Its worker does not stop, and says nothing."""
    await engine.apply("does-not-stop", "a")
    cancelled = await engine.start("does-not-stop")
    kept = await engine.worker.take_one()
    async with _keeping(engine, kept):
        await engine.client.cancel(cancelled)
        lost = await engine.start("does-not-stop")
        await eventually(lambda: engine.worker.waiting(), "the work")
        await engine.jetstream.delete_msg(subjects.NODE_WORK, 2)

        again = await engine.worker.take_one(timeout_s=30)

        assert (again["run_id"], again["attempt"], again["dispatch"]) == (str(lost), 1, 2)
    await engine.worker.complete(again)
    await engine.ends(lost)


async def test_work_lost_behind_what_is_acknowledged_and_kept_all_the_same_is_sent_again(engine: Engine) -> None:
    """As after a full disk, on which the server could not write down that it removed a message."""
    config = (await engine.jetstream.stream_info(subjects.NODE_WORK)).config
    await engine.jetstream.delete_stream(subjects.NODE_WORK)
    config.retention = RetentionPolicy.LIMITS
    await engine.jetstream.add_stream(config)
    await engine.worker.announce()
    await engine.apply("kept", "ab")
    run_id = await engine.start("kept")
    first, second = await engine.worker.take(2, timeout_s=30)
    await engine.worker.complete(first)

    await engine.worker.acknowledge(second)

    again = await engine.worker.take_one(timeout_s=30)
    assert (again["node_key"], again["attempt"], again["dispatch"]) == (second["node_key"], 1, 2)
    await engine.worker.complete(again)
    await engine.ends(run_id)


async def test_result_that_waits_for_coordinators_ends_its_attempt_however_late_it_is(
    nats_url: str, database_url: str
) -> None:
    async with Engine.started(nats_url, database_url, has_coordinator=False) as engine:
        async with engine.coordinator():
            await engine.apply("late", "abc", **{key: {"retry": {"max_attempts": 1}} for key in "abc"})
            run_id = await engine.start("late")
            readies = await engine.worker.take(3)
            await engine.worker.beat(*readies)
            await eventually(lambda: _is_leased(engine, "c"), "the leases")
        # While nobody settles: one ends within its lease, the others when it is over already.
        await engine.worker.complete(readies[0])
        await eventually(lambda: _is_over(engine), "the end of the leases")
        await engine.worker.complete(*readies[1:])
        # One that dies has taken them, so that they come again only after a while.
        durable = await engine.jetstream.pull_subscribe_bind(subjects.NODE_RESULTS_DURABLE, subjects.NODE_RESULTS)
        assert len(await durable.fetch(2, timeout=5)) == 2

        async with engine.coordinator():
            run = await engine.ends(run_id)

    assert [len(node.attempts) for node in run.node_results or []] == [1, 1, 1]


async def test_attempt_that_another_coordinator_sent_or_that_is_held_is_not_sent_again(engine: Engine) -> None:
    await engine.apply("guarded", "ab")
    run_id = await engine.start("guarded")
    readies = await engine.worker.take(2)
    await engine.worker.beat(readies[1])
    await eventually(lambda: _is_leased(engine, "b"), "the lease")
    [row] = await engine.query(
        "SELECT dispatched_at FROM runs.node_results WHERE run_id = %s AND node_key = 'a'", run_id
    )
    sent_at = row["dispatched_at"]
    found = {"run_id": str(run_id), "dispatch": 1, "dispatched_at": sent_at}
    pool = make_pool(engine.database_url, "test")
    async with pool, pool.connection() as connection:
        others = [{"dispatch": 0}, {"dispatched_at": sent_at - timedelta(seconds=1)}]
        for other in others:
            assert await send_again(connection, [{**found, "node_key": "a", **other}]) == []
        assert await send_again(connection, [{**found, "node_key": "b"}]) == []
    await engine.worker.complete(*readies)
    await engine.ends(run_id)


@asynccontextmanager
async def _beating(engine: Engine, *readies: Ready) -> AsyncIterator[None]:
    """As a worker does that holds them for long."""

    async def beat() -> None:
        while True:
            await engine.worker.beat(*readies)
            await asyncio.sleep(1)

    task = asyncio.create_task(beat())
    async with _keeping(engine, *readies):
        yield
    task.cancel()


@asynccontextmanager
async def _keeping(engine: Engine, *readies: Ready) -> AsyncIterator[None]:
    """Nobody else is given them."""

    async def keep() -> None:
        while True:
            for ready in readies:
                await engine.worker.messages[
                    ready["run_id"], ready["node_key"], ready["attempt"], ready["dispatch"]
                ].in_progress()
            await asyncio.sleep(1)

    task = asyncio.create_task(keep())
    yield
    task.cancel()


async def _is_over(engine: Engine) -> bool:
    rows = await engine.query("SELECT 1 FROM runs.node_results WHERE lease_until > clock_timestamp()")
    return not rows


async def _is_leased(engine: Engine, key: str) -> bool:
    rows = await engine.query("SELECT 1 FROM runs.node_results WHERE node_key = %s AND lease_until IS NOT NULL", key)
    return bool(rows)


async def _has_no_lease(engine: Engine, key: str) -> bool:
    return not await _is_leased(engine, key)
