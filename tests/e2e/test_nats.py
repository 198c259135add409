"""What an internal service does over NATS: with nats-py alone, and with the client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import nats
import orjson
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.client import PipewrightClient
from shared.clock import new_id
from shared.contracts.runs import Run
from shared.contracts.states import RunStatus
from shared.errors import ProblemError
from tests.e2e.graphs import edge, fetch, pipeline, text
from tests.eventually import eventually
from tests.ledger import Ledger


@pytest.fixture
async def plain(nats_url: str) -> AsyncIterator[Client]:
    connected = await nats.connect(nats_url)
    yield connected
    await connected.close()


async def ask(client: Client, subject: str, body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((await client.request(subject, body, timeout=10)).data)
    return found


async def test_plain_request_starts_a_run(plain: Client, client: PipewrightClient) -> None:
    order = orjson.dumps({"pipeline": "greeting", "input": {"name": "Grace"}})

    reply = await ask(plain, "pipewright.rpc.runs.start", order)

    assert set(reply) == {"run_id", "status"}
    run = await client.wait(UUID(reply["run_id"]), 20)
    assert run.output == {"greet": {"text": "Hello, Grace!"}}


async def test_plain_publish_to_the_stream_starts_a_run(plain: Client, client: PipewrightClient) -> None:
    run_id = new_id()
    order = orjson.dumps({"pipeline": "greeting", "input": {"name": "Grace"}, "run_id": run_id})

    receipt = await plain.jetstream().publish("pipewright.run.request", order)

    assert receipt.stream == "RUN_REQUESTS"
    assert (await client.wait(run_id, 20)).status is RunStatus.COMPLETED


async def test_every_change_is_an_event_on_its_subject(plain: Client, client: PipewrightClient) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []
    run_id = new_id()

    async def hear(message: Msg) -> None:
        event = orjson.loads(message.data)
        if event["run_id"] == str(run_id):
            heard.append((message.subject, event))

    await plain.subscribe("pipewright.run.event.*", cb=hear)
    await plain.flush()
    await client.run("content-generation", {"topic": "tea"}, run_id=run_id)
    await eventually(lambda: heard and heard[-1][0].endswith("completed"), "the last event")

    assert heard[0][0] == "pipewright.run.event.started"
    assert [event["seq"] for _, event in heard] == list(range(1, len(heard) + 1))
    assert all(event["status"] == "running" for _, event in heard[:-1])
    ended = [change["node_key"] for _, event in heard for change in event["changes"] if change["status"] == "completed"]
    assert ended == ["brief", "draft", "article"]


async def test_stream_request_that_cannot_start_becomes_a_failed_run(plain: Client, client: PipewrightClient) -> None:
    run_id = new_id()
    heard = await plain.subscribe("pipewright.run.event.failed")
    await plain.flush()

    await plain.jetstream().publish(
        "pipewright.run.request", orjson.dumps({"pipeline": "nowhere", "run_id": run_id, "input": {}})
    )

    event = orjson.loads((await heard.next_msg(timeout=5)).data)
    assert (event["run_id"], event["status"]) == (str(run_id), "failed")
    run = await client.wait(run_id, 20)
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert "nowhere" in run.error.message


async def test_refusal_by_request_says_what_and_what_to_do(plain: Client) -> None:
    reply = await ask(plain, "pipewright.rpc.runs.start", orjson.dumps({"pipeline": "nowhere"}))

    assert reply["error"]["status"] == 404
    assert "nowhere" in reply["error"]["detail"]


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b'{"pipeline": 1}', b"\xff\xfe", b""])
async def test_unreadable_request_gets_an_answer_in_words(plain: Client, body: bytes) -> None:
    reply = await ask(plain, "pipewright.rpc.runs.start", body)

    assert reply["error"]["status"] == 422
    assert reply["error"]["detail"]


@pytest.mark.parametrize("body", [b"no JSON", b"[1, 2]", b'{"input": {}}', b"\xff\xfe"])
async def test_unreadable_message_on_the_stream_is_parked_with_the_reason(
    plain: Client, client: PipewrightClient, body: bytes
) -> None:
    parked: list[dict[str, Any]] = []

    async def hear(message: Msg) -> None:
        parked.append(orjson.loads(message.data))

    await plain.subscribe("pipewright.dead.*", cb=hear)
    await plain.flush()
    await plain.jetstream().publish("pipewright.run.request", body)
    await eventually(lambda: parked, "the parked message")

    assert (parked[0]["kind"], parked[0]["subject"]) == ("run_request", "pipewright.run.request")
    assert parked[0]["reason"]
    assert len(parked) == 1
    started = await client.run("greeting", {"name": "Ada"})
    assert (await client.wait(started.run_id, 20)).status is RunStatus.COMPLETED


async def test_idempotency_key_is_one_run_by_request_and_by_stream(plain: Client, client: PipewrightClient) -> None:
    key = str(new_id())
    first = await client.run("greeting", {"name": "Ada"}, idempotency_key=key)

    again = await client.run("greeting", {"name": "Ada"}, idempotency_key=key)
    lost = await client.request_run("greeting", {"name": "Ada"}, idempotency_key=key)
    with pytest.raises(ProblemError, match="idempotency") as refusal:
        await client.run("greeting", {"name": "Grace"}, idempotency_key=key)

    assert again.run_id == first.run_id
    assert refusal.value.problem.status == 409
    later = await client.run("greeting", {"name": "Ada"})
    await client.wait(later.run_id, 20)
    with pytest.raises(ProblemError):
        await client.get_run(lost)


async def test_events_of_the_client_end_with_the_run(client: PipewrightClient) -> None:
    started = await client.run("review", {"text": "Lovely"})

    steps = [step async for step in client.events(started.run_id)]

    assert steps[-1].status is RunStatus.COMPLETED
    seqs = [step.seq for step in steps]
    assert seqs == sorted(set(seqs))


async def test_client_cancels_a_run(client: PipewrightClient, ledger: Ledger) -> None:
    nodes = [fetch("gate", f"{ledger.url}/gate/open/by-client"), text("after", "after")]
    await client.apply(pipeline("cancelled-by-client", nodes, [edge("gate", "after")]))
    started = await client.run("cancelled-by-client")
    await eventually(lambda: ledger.requests["by-client"] == 1, "the request at the gate")

    cancelled: Run = await client.cancel(started.run_id)

    assert cancelled.status is RunStatus.CANCELLED
    ledger.open_gate()


async def test_large_output_and_large_input_travel_whole(client: PipewrightClient, ledger: Ledger) -> None:
    nodes = [
        fetch("big", f"{ledger.url}/size/3000000/big"),
        {"key": "length", "type": "transform", "config": {"expression": "nodes.big.body.text | size"}},
        {"key": "sent", "type": "transform", "config": {"expression": "input.text | size"}},
    ]
    await client.apply(pipeline("large", nodes, [edge("big", "length")]))

    started = await client.run("large", {"text": "y" * 700_000})
    run = await client.wait(started.run_id, 30)

    assert run.output == {"length": {"value": 3_000_000}, "sent": {"value": 700_000}}


async def test_late_reader_of_an_ended_run_gets_it_at_once(client: PipewrightClient) -> None:
    started = await client.run("greeting", {"name": "Ada"})
    await client.wait(started.run_id, 20)

    run = await client.wait(started.run_id, 1)

    assert run.status is RunStatus.COMPLETED
