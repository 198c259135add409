"""Nodes that wait for room: written once for all of them, in their order, whoever coordinates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest

from services.cli.setup import migrate_all
from shared.contracts import subjects
from tests.eventually import eventually
from tests.integration.engine import Engine
from tests.integration.hand_worker import HandWorker, Ready

QUICK_RETRY = {"max_attempts": 2, "initial_delay_s": 0.001}


@pytest.fixture
async def engine(nats_url: str, database_url: str) -> AsyncIterator[Engine]:
    """Coordinators are the tests' own."""
    async with Engine.started(nats_url, database_url, has_coordinator=False) as started:
        yield started


async def a_worker(engine: Engine, window: int) -> HandWorker:
    """Of a type of which a run may have so many nodes out: two rounds of all slots."""
    worker = HandWorker(engine.client.nats, "narrow", slots=window // 2)
    await worker.announce()
    await worker.subscribe()
    return worker


async def apply(engine: Engine, slug: str, keys: Sequence[str], first: str | None = None, **more: Any) -> None:
    """Narrow nodes beside each other; after a step, if there is a first one."""
    nodes = [{"key": key, "type": "narrow", "config": {"say": "x"}} | more for key in keys]
    edges = [{"source": first, "target": key} for key in keys] if first is not None else []
    if first is not None:
        nodes.append({"key": first, "type": "step", "config": {"say": "x"}})
    await engine.client.apply({"name": slug, "slug": slug, "nodes": nodes, "edges": edges})


async def lane(engine: Engine, run_id: UUID) -> list[int]:
    """How many nodes are out, and how many wait."""
    [row] = await engine.query("SELECT lanes->'narrow' AS lane FROM runs.pipeline_runs WHERE id = %s", run_id)
    return row["lane"] or [0, 0]


async def know_window(engine: Engine, window: int) -> None:
    """Until the coordinator has heard of the worker; nothing of the runs that try it is left."""
    await apply(engine, "tried", [f"t{number}" for number in range(window + 1)])

    async def is_known() -> bool:
        run_id = await engine.start("tried")
        out, waits = await lane(engine, run_id)

        async def is_out() -> bool:
            return (await engine.jetstream.stream_info(subjects.NODE_WORK)).state.messages == out

        await eventually(is_out, "the work")
        await engine.client.cancel(run_id)
        await engine.jetstream.purge_stream(subjects.NODE_WORK)
        return waits == 1

    await eventually(is_known, "the window")


def keys_of(readies: Sequence[Ready]) -> list[str]:
    return [ready["node_key"] for ready in readies]


@pytest.mark.parametrize("first", [None, "root"], ids=["from the start", "after another node"])
async def test_thousands_wait_in_few_rows_and_leave_in_their_order(engine: Engine, first: str | None) -> None:
    worker, window = await a_worker(engine, 300), 300
    keys = [f"n{number:04}" for number in range(1200)]
    await apply(engine, "wide", keys, first)
    done: list[str] = []
    async with engine.coordinator():
        await know_window(engine, window)
        run_id = await engine.start("wide")
        if first is not None:
            await engine.worker.complete(await engine.worker.take_one())
        ready = await worker.take(window)
        parts = await engine.query(
            "SELECT place, cardinality(node_keys) AS count FROM runs.queues WHERE run_id = %s ORDER BY place", run_id
        )
        assert [(part["place"], part["count"]) for part in parts] == [(0, 500), (500, 400)]
        done += keys_of(ready)
        # This one remembers all of it.
        await worker.complete(*ready)
        ready = await worker.take(window)
        done += keys_of(ready)
        await engine.settled()
    # This one has to read it.
    async with engine.coordinator():
        for _ in range(2):
            await worker.complete(*ready)
            ready = await worker.take(window)
            done += keys_of(ready)
        await worker.complete(*ready)
        run = await engine.ends(run_id)

    assert done == keys
    assert all(len(node.attempts) == 1 for node in run.node_results or [] if node.node_type == "narrow")


async def test_two_coordinators_that_read_each_others_queues_send_each_node_once(engine: Engine) -> None:
    worker, window = await a_worker(engine, 10), 10
    keys = [f"n{number:03}" for number in range(100)]
    await apply(engine, "wide", keys)
    async with engine.coordinator(), engine.coordinator():
        await know_window(engine, window)
        run_id = await engine.start("wide")
        done: list[str] = []
        while len(done) < len(keys):
            ready = await worker.take_one()
            done.append(ready["node_key"])
            await worker.complete(ready)
        await engine.ends(run_id)

    assert sorted(done) == keys


async def test_a_retry_that_finds_no_room_waits_behind_those_that_wait(engine: Engine) -> None:
    worker, window = await a_worker(engine, 2), 2
    await apply(engine, "retried", "abcd", retry=QUICK_RETRY)
    async with engine.coordinator():
        await know_window(engine, window)
        run_id = await engine.start("retried")
        first, second = await worker.take(2)

        await worker.fail(first, retryable=True)
        third = await worker.take_one()

        async def is_queued() -> bool:
            return await lane(engine, run_id) == [2, 2]

        await eventually(is_queued, "the retry's place in the queue")
        await worker.complete(second)
        fourth = await worker.take_one()
        await worker.complete(third)
        last = await worker.take_one()
        await worker.complete(fourth, last)
        await engine.ends(run_id)

    order = [(ready["node_key"], ready["attempt"]) for ready in (first, second, third, fourth, last)]
    assert order == [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("a", 2)]


async def left_alone(engine: Engine, keys: str) -> tuple[HandWorker, UUID, list[Ready]]:
    """A run of which two nodes are out and the others wait, while nobody coordinates."""
    worker = await a_worker(engine, 2)
    await apply(engine, "left-alone", keys)
    async with engine.coordinator():
        await know_window(engine, 2)
        run_id = await engine.start("left-alone")
        return worker, run_id, await worker.take(2)


async def test_a_queue_that_is_gone_is_made_anew_when_nothing_else_is_left(engine: Engine) -> None:
    worker, run_id, ready = await left_alone(engine, "abcd")
    await engine.query("DELETE FROM runs.queues WHERE run_id = %s", run_id)
    async with engine.coordinator():
        await worker.complete(*ready)
        await engine.settled()
        await engine.query(
            "UPDATE runs.pipeline_runs SET changed_at = changed_at - interval '1 minute' WHERE id = %s", run_id
        )
        again = await worker.take(2)
        await worker.complete(*again)
        await engine.ends(run_id)

    assert keys_of(again) == ["c", "d"]


async def test_what_waited_in_the_version_before_leaves_in_its_order(engine: Engine) -> None:
    worker, run_id, ready = await left_alone(engine, "abcdef")
    # As that version had it: two began to wait before the others.
    await engine.query("DROP TABLE runs.queues")
    await engine.query(
        "UPDATE runs.node_results SET ready_at = now() - make_interval(secs => (node_key IN ('e', 'f'))::int) "
        "WHERE run_id = %s AND status = 'pending'",
        run_id,
    )
    await engine.query("DELETE FROM runs.migrations WHERE name = '0006_queues.sql'")
    await migrate_all(engine.database_url)

    async with engine.coordinator():
        for expected in (["e", "f"], ["c", "d"]):
            await worker.complete(*ready)
            ready = await worker.take(2)
            assert keys_of(ready) == expected
        await worker.complete(*ready)
        await engine.ends(run_id)
