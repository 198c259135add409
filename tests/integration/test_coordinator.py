"""A coordinator with messages played by hand: twice, late, out of order, forged, unreadable, lost."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from nats.aio.msg import Msg
from prometheus_client import REGISTRY

from shared.contracts import subjects
from shared.contracts.states import AttemptOutcome, RunStatus
from tests.eventually import eventually
from tests.integration.engine import Engine
from tests.integration.hand_worker import completed, failed

DIAMOND = (("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))


async def test_join_is_ready_when_its_last_parent_ends(engine: Engine) -> None:
    await engine.apply("diamond", "abcd", DIAMOND)
    run_id = await engine.start("diamond")

    await engine.worker.complete(await engine.worker.take_one())
    left, right = await engine.worker.take(2)
    await engine.worker.complete(right)
    await engine.settled()
    assert await engine.worker.waiting() == 0
    await engine.worker.complete(left)
    last = await engine.worker.take_one()
    await engine.worker.complete(last)

    assert last["node_key"] == "d"
    run = await engine.ends(run_id)
    assert run.output == {"d": {"said": "d"}}


async def test_same_result_twice_changes_nothing(engine: Engine) -> None:
    await engine.apply("twice", "ab", [("a", "b")])
    run_id = await engine.start("twice")
    first = await engine.worker.take_one()

    await engine.worker.say(completed(first), completed(first))
    await engine.worker.say(completed(first, {"said": "another"}))
    second = await engine.worker.take_one()
    await engine.worker.complete(second)

    run = await engine.ends(run_id)
    assert (run.node_results or [])[0].output == {"said": "a"}
    assert len((run.node_results or [])[0].attempts) == 1
    await engine.settled()
    assert await engine.worker.waiting() == 0


async def test_result_after_the_end_changes_nothing(engine: Engine) -> None:
    await engine.apply("late", "ab")
    run_id = await engine.start("late")
    first, second = await engine.worker.take(2)
    await engine.worker.fail(first)
    await engine.ends(run_id, RunStatus.FAILED)

    await engine.worker.complete(second)

    await engine.settled()
    assert await engine.statuses(run_id) == {"a": "failed", "b": "cancelled"}


async def test_result_of_an_attempt_that_is_over_changes_nothing(engine: Engine) -> None:
    await engine.apply("stale", "a", a={"retry": {"max_attempts": 3, "initial_delay_s": 0}})
    run_id = await engine.start("stale")
    first = await engine.worker.take_one()
    await engine.worker.fail(first, retryable=True)
    second = await engine.worker.take_one()

    await engine.worker.say(completed(first, {"said": "too late"}))
    await engine.settled()

    assert await engine.statuses(run_id) == {"a": "running"}
    assert second["attempt"] == 2
    await engine.worker.complete(second)
    run = await engine.ends(run_id)
    assert run.output == {"a": {"said": "a"}}


async def test_forged_result_changes_nothing(engine: Engine) -> None:
    await engine.apply("forged", "ab")
    run_id = await engine.start("forged")
    first, second = await engine.worker.take(2)
    before = forged_results()

    await engine.worker.say(completed(first) | {"token": "0" * 64})
    await engine.worker.say(completed(first) | {"token": second["token"]})
    await engine.worker.say(completed(first), node_type="other")
    await engine.settled()

    assert await engine.statuses(run_id) == {"a": "running", "b": "running"}
    assert forged_results() == before + 2


def forged_results() -> float:
    """As the coordinators' metrics tell."""
    return REGISTRY.get_sample_value("pipewright_results_forged_total", {"node_type": "step"}) or 0.0


async def test_unreadable_item_alone_is_parked(engine: Engine) -> None:
    await engine.apply("unreadable", "ab")
    run_id = await engine.start("unreadable")
    first, second = await engine.worker.take(2)

    await engine.worker.say(completed(first), {"run_id": "no uuid"}, 17, completed(second))

    await engine.ends(run_id)
    assert await engine.parked("node_result") == 2


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"worker": "w", "results": []}', b"\xff"])
async def test_unreadable_message_is_parked_and_the_loop_goes_on(engine: Engine, body: bytes) -> None:
    await engine.apply("goes-on", "a")
    await engine.jetstream.publish(subjects.node_result("step"), body)

    run_id = await engine.start("goes-on")
    await engine.worker.complete(await engine.worker.take_one())

    await engine.ends(run_id)
    assert await engine.parked("node_result") == 1


async def test_output_that_cannot_be_stored_ends_its_attempt_alone(engine: Engine) -> None:
    await engine.apply("unstorable", "abc")
    run_id = await engine.start("unstorable")
    first, second, third = await engine.worker.take(3)

    # In one message, so in one transaction; U+0000 is JSON, but no text that Postgres can keep.
    bad = orjson.loads(orjson.dumps(completed(second, {"said": "a\u0000b"})))
    await engine.worker.say(completed(first), bad, completed(third))

    run = await engine.ends(run_id, RunStatus.FAILED)
    assert run.error is not None
    assert (run.error.node_key, run.error.code) == ("b", "unstorable_output")
    assert (await engine.statuses(run_id))["b"] == "failed"


async def test_large_output_is_kept_and_sent_on_by_reference(engine: Engine) -> None:
    node = {"config": {"say": "{{ nodes.a.text }}"}}
    await engine.apply("by-reference", "ab", [("a", "b")], b=node)
    run_id = await engine.start("by-reference")
    first = await engine.worker.take_one()
    text = "x" * 700_000
    store = await engine.jetstream.object_store(subjects.TRANSFERS_BUCKET)
    body = orjson.dumps({"text": text})
    await store.put("large", body)
    import hashlib

    reference = {"object": "large", "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    result = completed(first)
    result["outcome"] = {"status": "completed", "output_ref": reference}
    await engine.worker.say(result)
    await engine.worker.acknowledge(first)

    second = await engine.worker.take_one()

    assert second.get("inputs") is None
    sent = await store.get(second["inputs_ref"]["object"])
    assert orjson.loads(sent.data or b"")["nodes"]["a"]["output"] == {"text": text}
    await engine.worker.complete(second)
    run = await engine.ends(run_id)
    assert (run.node_results or [])[0].output == {"text": text}
    [payload] = await engine.query("SELECT node_key FROM runs.payloads WHERE run_id = %s", run_id)
    assert payload == {"node_key": "a"}


async def test_transient_failure_is_tried_again_until_attempts_are_used_up(engine: Engine) -> None:
    await engine.apply("retries", "a", a={"retry": {"max_attempts": 3, "initial_delay_s": 0.01}})
    run_id = await engine.start("retries")

    for attempt in (1, 2, 3):
        ready = await engine.worker.take_one()
        assert ready["attempt"] == attempt
        await engine.worker.fail(ready, retryable=True)

    run = await engine.ends(run_id, RunStatus.FAILED)
    [node] = run.node_results or []
    assert [attempt.outcome for attempt in node.attempts] == [AttemptOutcome.FAILED] * 3
    assert node.metadata["retry_count"] == 2


async def test_permanent_failure_is_not_tried_again(engine: Engine) -> None:
    await engine.apply("permanent", "a")
    run_id = await engine.start("permanent")

    await engine.worker.fail(await engine.worker.take_one(), retryable=False)

    run = await engine.ends(run_id, RunStatus.FAILED)
    assert len((run.node_results or [])[0].attempts) == 1


async def test_retry_waits_as_long_as_the_other_side_asks(engine: Engine) -> None:
    await engine.apply("asked-to-wait", "a", a={"retry": {"max_attempts": 2, "initial_delay_s": 0}})
    run_id = await engine.start("asked-to-wait")
    first = await engine.worker.take_one()
    began = asyncio.get_running_loop().time()
    await engine.worker.fail(first, retryable=True, retry_after_s=1.0)

    second = await engine.worker.take_one()

    assert 1.0 <= asyncio.get_running_loop().time() - began < 2.0
    await engine.worker.complete(second)
    await engine.ends(run_id)


async def test_cancel_ends_the_run_before_it_answers(engine: Engine) -> None:
    await engine.apply("cancelled", "ab", [("a", "b")])
    run_id = await engine.start("cancelled")
    ready = await engine.worker.take_one()

    await engine.client.cancel(run_id)

    bucket = await engine.jetstream.key_value(subjects.ENDED_RUNS_BUCKET)
    assert (await bucket.get(str(run_id))).value == b"cancelled"
    await engine.worker.complete(ready)
    await engine.settled()
    assert await engine.statuses(run_id) == {"a": "cancelled", "b": "skipped"}
    assert await engine.worker.waiting() == 0
    run = await engine.read(run_id)
    assert [attempt.outcome for attempt in (run.node_results or [])[0].attempts] == [AttemptOutcome.CANCELLED]


async def test_event_of_a_cancel_counts_what_was_done(engine: Engine) -> None:
    heard: list[dict[str, Any]] = []

    async def hear(message: Msg) -> None:
        heard.append(orjson.loads(message.data))

    await engine.client.nats.subscribe(subjects.run_event("cancelled"), cb=hear)
    await engine.apply("half-done", "abc", [("a", "b"), ("b", "c")])
    run_id = await engine.start("half-done")
    await engine.worker.complete(await engine.worker.take_one())
    await engine.worker.take_one()

    await engine.client.cancel(run_id)

    await eventually(lambda: heard, "the event")
    assert [(event["status"], event["node_count"], event["finished_count"]) for event in heard] == [("cancelled", 3, 1)]


async def test_list_of_runs_reads_no_graphs(engine: Engine) -> None:
    await engine.apply("listed", "ab", [("a", "b")])
    run_id = await engine.start("listed")
    await engine.query("UPDATE runs.versions SET compiled = '{}'")

    # The second coordinator has no graph in memory; whichever answers, the list tells of it.
    async with engine.coordinator():
        for _ in range(20):
            [run] = (await engine.client.list_runs()).runs
            assert (run.id, run.version, run.node_count) == (run_id, 1, 2)


async def test_window_bounds_what_one_run_has_out(engine: Engine) -> None:
    other = type(engine.worker)(engine.client.nats, "narrow", slots=3)
    await other.announce()
    await other.subscribe()
    nodes = [{"key": f"n{number:02}", "type": "narrow", "config": {"say": "x"}} for number in range(20)]
    await engine.client.apply({"name": "narrow", "slug": "narrow", "nodes": nodes})

    async def is_known() -> bool:
        run_id = await engine.start("narrow")
        out = (
            await engine.query(
                "SELECT count(*) AS out FROM runs.node_results WHERE run_id = %s AND status = 'running'", run_id
            )
        )[0]["out"]
        await engine.client.cancel(run_id)
        return bool(out == 6)

    await eventually(is_known, "a window of twice the slots")
    await engine.jetstream.purge_stream(subjects.NODE_WORK)
    run_id = await engine.start("narrow")
    done: list[str] = []
    while len(done) < 20:
        ready = await other.take_one()
        [row] = await engine.query(
            "SELECT count(*) AS out FROM runs.node_results WHERE run_id = %s AND status = 'running'", run_id
        )
        assert row["out"] <= 6
        done.append(ready["node_key"])
        await other.complete(ready)
    await engine.ends(run_id)
    assert done == sorted(done)


async def test_events_rise_by_one_a_step(engine: Engine) -> None:
    heard: list[dict[str, Any]] = []

    async def hear(message: Any) -> None:
        heard.append(orjson.loads(message.data))

    await engine.client.nats.subscribe(subjects.ALL_RUN_EVENTS, cb=hear)
    await engine.apply("told", "abcd", DIAMOND)
    run_id = await engine.start("told")
    for count in (1, 2, 1):
        await engine.worker.complete(*await engine.worker.take(count))

    run = await engine.ends(run_id)
    await eventually(lambda: heard and heard[-1]["status"] == "completed", "the last event")
    assert [event["seq"] for event in heard] == list(range(1, run.seq + 1))
    changes = [(change["node_key"], change["status"]) for event in heard for change in event["changes"]]
    assert len(changes) == len(set(changes))
    assert {change for change in changes if change[1] == "completed"} == {(key, "completed") for key in "abcd"}


async def test_two_coordinators_settle_each_node_once(engine: Engine) -> None:
    await engine.apply("shared-work", "abcde", [*DIAMOND, ("d", "e")])
    async with engine.coordinator():
        run_ids = [await engine.start("shared-work") for _ in range(40)]

        for count in (40, 80, 40, 40):
            readies = await engine.worker.take(count)
            # Every result is said twice, in messages that different coordinators take.
            for ready in readies:
                await engine.worker.say(completed(ready))
                await engine.worker.say(completed(ready))
            for ready in readies:
                await engine.worker.acknowledge(ready)

        for run_id in run_ids:
            run = await engine.ends(run_id)
            assert all(len(node.attempts) == 1 for node in run.node_results or [])
    assert await engine.worker.waiting() == 0


async def test_starts_with_one_key_are_one_run(engine: Engine) -> None:
    await engine.apply("keyed", "a")
    async with engine.coordinator():
        started = await asyncio.gather(*(engine.client.run("keyed", {}, idempotency_key="k") for _ in range(20)))

    assert len({run.run_id for run in started}) == 1
    [row] = await engine.query("SELECT count(*) AS count FROM runs.pipeline_runs")
    assert row["count"] == 1


async def test_handled_failure_lets_the_run_complete(engine: Engine) -> None:
    edges = [("a", "b"), ("a", "c", "error"), ("b", "d"), ("c", "d")]
    await engine.apply("handled", "abcd", edges)
    run_id = await engine.start("handled")

    await engine.worker.say(failed(await engine.worker.take_one()))
    await engine.worker.complete(await engine.worker.take_one())
    await engine.worker.complete(await engine.worker.take_one())

    await engine.ends(run_id)
    assert await engine.statuses(run_id) == {"a": "failed", "b": "skipped", "c": "completed", "d": "completed"}
