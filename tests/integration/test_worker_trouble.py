"""A worker on the kit in trouble: work it cannot read, outputs nobody takes, node types that do not end."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import nats
import orjson
import pytest
from nats.aio.client import Client

from services.cli.setup import make_topology
from services.executors.kit import attempt as attempt_module
from services.executors.kit import beats as beats_module
from services.executors.kit import worker as worker_module
from services.executors.kit.ended_runs import SLEPT_S
from shared.bus.transfers import Transfers
from shared.contracts import subjects
from tests.eventually import eventually
from tests.faults.proxy import Proxy, proxying
from tests.integration.steps import Hands, stepping
from tests.servers import nats_server

#: Of impatient consumers.
ACK_WAIT_S = 2.0


async def be_impatient(client: Client) -> None:
    """Let work be delivered again soon when nobody says that it is being done."""
    durable = (await client.jetstream().consumer_info(subjects.NODE_WORK, "steps")).config
    await client.jetstream().add_consumer(subjects.NODE_WORK, durable.evolve(ack_wait=ACK_WAIT_S))


async def is_with_the_worker(client: Client, count: int) -> bool:
    info = await client.jetstream().consumer_info(subjects.NODE_WORK, "steps")
    return (info.num_ack_pending, info.num_pending) == (count, 0)


async def cut_off_for_a_moment(proxy: Proxy) -> None:
    """Until it is connected again: what is sent before may still be delivered to the connection that is gone."""
    before = proxy.connections
    proxy.cut()
    await eventually(lambda: proxy.connections > before, "the next connection")


async def nobody_else_is_given_any(client: Client) -> None:
    """Not within the time after which work is delivered again."""
    other = await client.jetstream().pull_subscribe_bind("steps", subjects.NODE_WORK)
    with pytest.raises(nats.errors.TimeoutError):
        await other.fetch(1, timeout=2 * ACK_WAIT_S)


def without(ready: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in ready.items() if name not in names}


@pytest.mark.parametrize(
    ("missing", "more"),
    [(("config",), {}), ((), {"timeout_s": "soon"}), ((), {"config": [1]}), (("node_type", "dispatch"), {})],
    ids=str,
)
async def test_work_that_cannot_be_read_fails_when_it_can_be_told_whose_it_is(
    hands: Hands, missing: tuple[str, ...], more: dict[str, Any]
) -> None:
    await hands.publish(without(hands.ready("a", {"do": "give"}), *missing) | more)

    result = await hands.result("a")

    assert (result["run_id"], result["attempt"], result["token"]) == (hands.run_id, 1, "t")
    outcome = result["outcome"]
    assert (outcome["error"]["code"], outcome["retryable"]) == ("unreadable_work", False)
    await eventually(hands.is_done, "the acknowledgement")
    assert (await hands.client.jetstream().stream_info(subjects.DEAD_LETTERS)).state.messages == 1


async def test_inputs_that_cannot_be_read_fail_their_attempt(hands: Hands) -> None:
    reference = await Transfers(hands.client.jetstream()).put(b'{"nodes": 7}')

    await hands.send("a", {"do": "give"}, inputs=None, inputs_ref=reference.model_dump())

    outcome = (await hands.result("a"))["outcome"]
    assert (outcome["error"]["code"], outcome["retryable"]) == ("unreadable_work", False)


async def test_an_output_that_nobody_takes_for_a_while_is_kept_without_doing_the_work_again(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_module, "KEEP_AGAIN_S", (0.05,) * 200)
    jetstream = hands.client.jetstream()
    await jetstream.delete_object_store(subjects.TRANSFERS_BUCKET)

    await hands.send("a", {"do": "large"})
    await eventually(lambda: hands.steps.begun == ["a"], "the work")
    await jetstream.create_object_store(subjects.TRANSFERS_BUCKET)

    assert (await hands.result("a"))["outcome"]["output_ref"]["size"] > 700_000
    assert hands.steps.begun == ["a"]


async def test_an_output_that_nobody_takes_may_be_made_again(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt_module, "KEEP_AGAIN_S", (0.05,))
    await hands.client.jetstream().delete_object_store(subjects.TRANSFERS_BUCKET)

    await hands.send("a", {"do": "large"})

    outcome = (await hands.result("a"))["outcome"]
    assert (outcome["error"]["code"], outcome["retryable"]) == ("output_not_kept", True)


async def test_work_that_heeds_no_end_is_given_up_and_its_slot_is_free(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "GRACE_S", 0.1)
    for number in range(4):
        await hands.send(f"s{number}", {"do": "stubborn"}, timeout_s=0.1)
    await hands.send("after", {"do": "give"})

    outcome = (await hands.result("s3"))["outcome"]

    assert (outcome["outcome"], outcome["retryable"]) == ("timed_out", True)
    assert (await hands.result("after"))["outcome"]["status"] == "completed"
    await eventually(hands.is_done, "the acknowledgements")


async def test_work_of_an_ended_run_that_heeds_no_end_is_dropped_in_the_end(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "GRACE_S", 0.1)
    await hands.send("a", {"do": "stubborn"}, timeout_s=0.5)
    await eventually(lambda: hands.steps.begun == ["a"], "the work")

    await hands.end_runs(hands.run_id)

    await eventually(hands.is_done, "the work to be dropped")
    assert hands.results == {}


async def test_a_failure_that_cannot_be_written_is_a_fault_of_its_type(hands: Hands) -> None:
    await hands.send("a", {"do": "faulty"})

    outcome = (await hands.result("a"))["outcome"]
    assert (outcome["error"]["code"], outcome["retryable"]) == ("internal_error", False)


async def test_finished_work_is_held_until_its_result_is_kept(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beats_module, "BEAT_S", 0.5)
    jetstream = hands.client.jetstream()
    await be_impatient(hands.client)
    results = (await jetstream.stream_info(subjects.NODE_RESULTS)).config
    await jetstream.delete_stream(subjects.NODE_RESULTS)
    await hands.client.flush()

    await hands.send("a", {"do": "give"})
    await eventually(lambda: hands.steps.begun == ["a"], "the work")
    begun_at = time.monotonic()
    await eventually(lambda: time.monotonic() - begun_at > 2 * ACK_WAIT_S, "the time after which it was lost")
    await jetstream.add_stream(results)

    await hands.result("a")
    await eventually(hands.is_done, "the acknowledgement")
    assert hands.steps.begun == ["a"]


async def test_a_result_that_is_too_large_for_the_server_is_a_failure_that_says_so(tmp_path: Path) -> None:
    async with nats_server(tmp_path, max_payload="100KB") as url:
        await make_topology(url)
        client = await nats.connect(url)
        async with stepping(client, url) as hands:
            await hands.send("small", {"do": "give", "value": 1})
            await hands.send("a", {"do": "give", "value": "{{ 'x' * 200000 }}"})

            outcome = (await hands.result("a"))["outcome"]
            assert outcome["error"]["code"] == "output_too_large"
            assert "Raise its max_payload to 1MB" in outcome["error"]["message"]
            assert (await hands.result("small"))["outcome"]["status"] == "completed"
        await client.close()


async def test_a_worker_that_thaws_begins_nothing_that_was_cancelled_meanwhile(hands: Hands, nats_url: str) -> None:
    async def work_then_cancel() -> None:
        client = await nats.connect(nats_url)
        other = Hands(client, hands.steps)
        await other.send("late", {"do": "give"})
        # More than is read at once, so that the work is at hand before its end is heard of.
        await other.end_runs(*(f"other-{number}" for number in range(1000)), value=b"x" * 1024)
        await other.end_runs(other.run_id)
        await client.close()

    def cancel_and_dawdle() -> None:
        asyncio.run(work_then_cancel())
        threading.Event().wait(SLEPT_S)

    thread = threading.Thread(target=cancel_and_dawdle)
    thread.start()
    # Nothing of this process's loop moves meanwhile, as if it were frozen.
    thread.join()

    await eventually(hands.is_done, "the work to be dropped")
    assert hands.steps.begun == []


async def test_a_worker_begins_nothing_until_the_ended_runs_are_read_again(client: Client, nats_url: str) -> None:
    async with proxying(int(nats_url.rsplit(":", 1)[1])) as proxy:
        url = f"{nats_url.rsplit(':', 1)[0]}:{proxy.port}"
        async with stepping(client, url) as hands:
            await client.jetstream().delete_key_value(subjects.ENDED_RUNS_BUCKET)
            await cut_off_for_a_moment(proxy)
            await hands.send("a", {"do": "give"})

            await eventually(lambda: is_with_the_worker(client, 1), "the work to be at hand")

        # The worker stopped meanwhile; it handed back what it could not begin.
        other = await client.jetstream().pull_subscribe_bind("steps", subjects.NODE_WORK)
        [message] = await other.fetch(1, timeout=5)
        assert orjson.loads(message.data)["node_key"] == "a"
        assert hands.steps.begun == []


async def test_all_work_at_hand_is_kept_while_it_waits_for_the_ended_runs(
    client: Client, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beats_module, "BEAT_S", 0.5)
    jetstream = client.jetstream()
    async with proxying(int(nats_url.rsplit(":", 1)[1])) as proxy:
        url = f"{nats_url.rsplit(':', 1)[0]}:{proxy.port}"
        async with stepping(client, url) as hands:
            await be_impatient(client)
            await jetstream.delete_key_value(subjects.ENDED_RUNS_BUCKET)
            await cut_off_for_a_moment(proxy)
            # The first one is taken from the buffer, the others stay there.
            for number, key in enumerate("abcd", 1):
                await hands.send(key, {"do": "give"})
                await eventually(lambda number=number: is_with_the_worker(client, number), "the work to be at hand")

            await nobody_else_is_given_any(client)
            await make_topology(nats_url)

            for key in "abcd":
                await hands.result(key)
            assert sorted(hands.steps.begun) == ["a", "b", "c", "d"]


async def test_fast_work_is_kept_while_it_waits_for_its_turn(
    client: Client, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of it may take longer than the server waits for a word."""
    monkeypatch.setattr(beats_module, "BEAT_S", 0.5)
    count = 80
    async with stepping(client, nats_url, is_fast=True, slots=count) as hands:
        await be_impatient(client)
        keys = [f"n{number}" for number in range(count)]
        await asyncio.gather(*(hands.send(key, {"do": "compute"}) for key in keys))

        await nobody_else_is_given_any(client)

        await eventually(lambda: len(hands.results) == count, "all results", timeout_s=30)
        assert sorted(hands.steps.begun) == sorted(keys)
