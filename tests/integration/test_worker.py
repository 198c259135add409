"""A worker on the kit, with work published by hand: what it acknowledges, drops, parks and answers."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import orjson
import pytest
from nats.aio.client import Client

from shared.bus.transfers import Transfers
from shared.clock import new_id
from shared.contracts import subjects
from tests.eventually import eventually
from tests.integration.steps import Hands, stepping


async def test_templates_are_rendered_and_the_work_is_acknowledged(hands: Hands) -> None:
    await hands.send("a", {"do": "give", "value": "Hello {{ input.name }}"})

    result = await hands.result("a")

    assert result["outcome"] == {"status": "completed", "output": {"value": "Hello Ada"}}
    assert (result["token"], result["attempt"]) == ("t", 1)
    assert result["started_at"] <= result["finished_at"]
    await eventually(hands.is_done, "the acknowledgement")


OUTCOMES: list[tuple[str, dict[str, Any]]] = [
    ("transient", {"retryable": True, "retry_after_s": 7, "code": "busy"}),
    ("permanent", {"retryable": False, "code": "wrong"}),
    ("fault", {"retryable": False, "code": "internal_error"}),
    ("odd", {"retryable": False, "code": "unstorable_output"}),
    ("zero", {"retryable": False, "code": "unstorable_output"}),
    ("huge", {"retryable": False, "code": "output_too_large"}),
]


@pytest.mark.parametrize(("do", "expected"), OUTCOMES)
async def test_every_failure_is_a_result_in_words(hands: Hands, do: str, expected: dict[str, Any]) -> None:
    await hands.send("a", {"do": do})

    outcome = (await hands.result("a"))["outcome"]

    assert outcome["status"] == "failed"
    assert outcome["error"]["message"]
    assert "secret" not in outcome["error"]["message"]
    found = outcome | {"code": outcome["error"]["code"]}
    assert {name: found[name] for name in expected} == expected
    await eventually(hands.is_done, "the acknowledgement")


async def test_config_that_is_wrong_after_rendering_is_told_with_its_place(hands: Hands) -> None:
    await hands.send("a", {"do": "give", "vlaue": 1})

    outcome = (await hands.result("a"))["outcome"]

    assert outcome["error"]["code"] in ("invalid_config", "template_error")
    assert "vlaue" in outcome["error"]["message"]


async def test_timeout_counts_from_when_the_work_begins(hands: Hands) -> None:
    for number in range(4):
        await hands.send(f"w{number}", {"do": "wait"})
    await eventually(lambda: len(hands.steps.begun) == 4, "all slots to be taken")
    await hands.send("late", {"do": "give"}, timeout_s=0.1)

    hands.steps.gate.set()

    assert (await hands.result("late"))["outcome"]["status"] == "completed"


async def test_work_over_its_timeout_is_ended(hands: Hands) -> None:
    await hands.send("a", {"do": "wait"}, timeout_s=0.1)

    outcome = (await hands.result("a"))["outcome"]

    assert (outcome["outcome"], outcome["retryable"]) == ("timed_out", True)


async def test_no_more_is_begun_than_there_are_slots(hands: Hands) -> None:
    for number in range(10):
        await hands.send(f"n{number}", {"do": "wait"})
    await eventually(lambda: len(hands.steps.begun) == 4, "all slots to be taken")

    info = await hands.client.jetstream().consumer_info(subjects.NODE_WORK, "steps")

    assert (info.num_ack_pending, info.num_pending) == (4, 6)
    assert len(hands.steps.begun) == 4


async def test_work_of_an_ended_run_is_dropped_without_a_result(hands: Hands) -> None:
    bucket = await hands.client.jetstream().key_value(subjects.ENDED_RUNS_BUCKET)
    await hands.send("held", {"do": "wait"})
    await eventually(lambda: hands.steps.begun == ["held"], "the work")

    await bucket.put(hands.run_id, b"cancelled")
    await eventually(hands.is_done, "the work to be dropped")
    await hands.send("later", {"do": "give"})
    await eventually(hands.is_done, "the later work to be dropped")

    assert hands.steps.begun == ["held"]
    assert hands.results == {}


async def test_work_whose_run_ends_at_any_moment_frees_its_slot(hands: Hands) -> None:
    for number in range(2000):
        ready = hands.ready(f"n{number}", {"do": "wait"}) | {"run_id": str(new_id())}
        await hands.client.publish(subjects.node_ready("steps"), orjson.dumps(ready))
        # A little later each time, in turns of the loop: from before the worker has it to after it has begun.
        for _ in range(number % 60):
            await asyncio.sleep(0)
        await hands.client.publish(f"$KV.{subjects.ENDED_RUNS_BUCKET}.{ready['run_id']}", b"cancelled")

    await eventually(hands.is_done, "the work to be dropped", timeout_s=20)
    assert hands.results == {}


@pytest.mark.parametrize("body", [b"", b"no JSON", b'{"run_id": 1}', b"\xff"])
async def test_unreadable_work_is_parked_and_the_loop_goes_on(hands: Hands, body: bytes) -> None:
    await hands.client.jetstream().publish(subjects.node_ready("steps"), body)
    await hands.send("a", {"do": "give"})

    assert (await hands.result("a"))["outcome"]["status"] == "completed"
    await eventually(hands.is_done, "the acknowledgements")
    info = await hands.client.jetstream().stream_info(subjects.DEAD_LETTERS)
    assert info.state.messages == 1


async def test_large_output_and_input_travel_by_reference(hands: Hands) -> None:
    transfers = Transfers(hands.client.jetstream())
    inputs = orjson.dumps({"input": {"name": "x" * 600_000}})
    reference = await transfers.put(inputs)

    await hands.send(
        "in", {"do": "give", "value": "{{ input.name | size }}"}, inputs=None, inputs_ref=reference.model_dump()
    )
    await hands.send("out", {"do": "large"})

    assert (await hands.result("in"))["outcome"]["output"] == {"value": 600_000}
    outcome = (await hands.result("out"))["outcome"]
    assert outcome["output_ref"]["size"] > 700_000


async def test_results_of_fast_work_leave_before_the_next_begins(client: Client, nats_url: str) -> None:
    keys = [f"n{number}" for number in range(6)]
    async with stepping(client, nats_url, is_fast=True, slots=len(keys)) as hands:
        # Each takes a whole turn.
        await asyncio.gather(*(hands.send(key, {"do": "compute"}) for key in keys))
        await eventually(lambda: len(hands.results) == len(keys), "all results")

    jetstream = client.jetstream()
    assert (await jetstream.stream_info(subjects.NODE_RESULTS)).state.messages == len(keys), "none waited for another"
    kept = [await jetstream.get_msg(subjects.NODE_RESULTS, number) for number in range(1, len(keys) + 1)]
    ends = [datetime.fromisoformat(orjson.loads(one.data or b"")["results"][0]["finished_at"]) for one in kept]
    assert all(one.time and one.time < next_end for one, next_end in zip(kept, ends[1:], strict=False))


async def test_work_that_kills_its_workers_is_refused_in_the_end(hands: Hands) -> None:
    jetstream = hands.client.jetstream()
    await hands.send("first", {"do": "wait"})
    for number in range(3):
        await hands.send(f"w{number}", {"do": "wait"})
    await eventually(lambda: len(hands.steps.begun) == 4, "all slots to be taken")
    await hands.send("deadly", {"do": "give"})
    other = await jetstream.pull_subscribe_bind("steps", subjects.NODE_WORK)
    for _ in range(5):
        [message] = await other.fetch(1, timeout=5)
        await message.nak()

    hands.steps.gate.set()

    outcome = (await hands.result("deadly"))["outcome"]
    assert (outcome["outcome"], outcome["retryable"]) == ("worker_died", True)
    assert "deadly" not in hands.steps.begun
    assert "6 times" in outcome["error"]["message"]


async def test_stopping_worker_hands_back_what_it_cannot_end(client: Client, nats_url: str) -> None:
    async with stepping(client, nats_url, opens_gate=False) as hands:
        await hands.send("a", {"do": "wait"})
        await eventually(lambda: hands.steps.begun == ["a"], "the work")

    other = await client.jetstream().pull_subscribe_bind("steps", subjects.NODE_WORK)
    [message] = await other.fetch(1, timeout=2)

    assert orjson.loads(message.data)["node_key"] == "a"
    bucket = await client.jetstream().key_value(subjects.NODE_TYPES_BUCKET)
    assert [key for key in await _keys(bucket) if key.startswith("steps")] == []


async def _keys(bucket: Any) -> list[str]:
    from nats.js.errors import NoKeysError

    try:
        return list(await bucket.keys())
    except NoKeysError:
        return []
