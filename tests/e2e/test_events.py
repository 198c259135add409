"""Server-sent events: a run as it goes on, cut and resumed without loss or repetition, and all runs of a pipeline."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from shared.client import PipewrightClient
from tests.e2e.graphs import edge, fetch, pipeline, text
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.stack import Stack

Event = tuple[str, int | None, dict[str, Any]]


async def read_events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """Kind, id and data of each event; comments are passed over."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            number = int(fields["id"]) if "id" in fields else None
            yield fields["event"], number, orjson.loads(fields["data"])
            fields = {}
        else:
            fields = {}


async def listen(api: httpx.AsyncClient, path: str, after: int | None = None, until: int | None = None) -> list[Event]:
    """Everything until the stream ends, or until so many events came."""
    headers = {"last-event-id": str(after)} if after is not None else {}
    found: list[Event] = []
    async with api.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        async for event in read_events(response.aiter_lines()):
            found.append(event)
            if until is not None and len(found) == until:
                break
    return found


async def gated(client: PipewrightClient, ledger: Ledger, slug: str) -> str:
    """A run that waits at the gate of the ledger."""
    nodes = [
        text("first", "one"),
        fetch("gate", f"{ledger.url}/gate/open/{slug}"),
        text("left", "{{ nodes.gate.body.name }}"),
        text("right", "right"),
        text("last", "{{ nodes.left.text }} {{ nodes.right.text }}"),
    ]
    pairs = (("first", "gate"), ("gate", "left"), ("gate", "right"), ("left", "last"), ("right", "last"))
    await client.apply(pipeline(slug, nodes, [edge(source, target) for source, target in pairs]))
    started = await client.run(slug)
    await eventually(lambda: ledger.requests[slug] == 1, "the request at the gate")
    return str(started.run_id)


def states(events: list[Event]) -> dict[str, list[str]]:
    """What was told of each node, in its order; a snapshot tells what is new in it."""
    told: dict[str, list[str]] = {}
    for kind, _, data in events:
        nodes = data["node_results"] if kind == "snapshot" else data.get("changes", [])
        for node in nodes:
            history = told.setdefault(node["node_key"], [])
            if kind == "change" or node["status"] not in history:
                history.append(node["status"])
    return told


async def test_run_is_told_from_its_snapshot_to_its_end(
    api: httpx.AsyncClient, client: PipewrightClient, ledger: Ledger
) -> None:
    run_id = await gated(client, ledger, "told-by-events")
    listening = asyncio.create_task(listen(api, f"/pipeline_runs/{run_id}/events"))
    async with api.stream("GET", f"/pipeline_runs/{run_id}/events") as other:
        # When this one has its snapshot, the first has been let in too.
        async for _ in read_events(other.aiter_lines()):
            break
    ledger.open_gate()

    events = await listening

    assert events[0][0] == "snapshot"
    assert {node["node_key"]: node["status"] for node in events[0][2]["node_results"]}["gate"] == "running"
    assert events[-1][0] == "end"
    assert events[-1][2]["output"] == {"last": {"text": "told-by-events right"}}
    ids = [number for kind, number, _ in events if kind != "end"]
    assert ids == sorted(set(ids))
    assert {history[-1] for history in states(events).values()} == {"completed"}


async def test_cut_and_resumed_stream_loses_and_repeats_no_change(
    api: httpx.AsyncClient, client: PipewrightClient, ledger: Ledger
) -> None:
    run_id = await gated(client, ledger, "cut-events")
    path = f"/pipeline_runs/{run_id}/events"
    first = await listen(api, path, until=1)
    ledger.open_gate()
    second = await listen(api, path, after=first[-1][1], until=1)
    third = await listen(api, path, after=second[-1][1]) if second[-1][0] != "end" else []

    events = first + second + third
    numbers = [number for kind, number, _ in events if kind != "end" and number is not None]
    assert numbers == sorted(numbers)
    for history in states(events).values():
        assert history[-1] == "completed"
        assert len(history) == len(set(history))


async def test_reader_of_a_finished_run_gets_it_once_and_is_then_sent_away(api: httpx.AsyncClient) -> None:
    run = (await api.post("/pipelines/greeting/execute?wait=10", json={"input": {"name": "Ada"}})).json()

    events = await listen(api, f"/pipeline_runs/{run['id']}/events")
    again = await api.get(f"/pipeline_runs/{run['id']}/events", headers={"last-event-id": str(events[-1][1])})

    assert [kind for kind, _, _ in events] == ["snapshot", "end"]
    assert again.status_code == 204


async def test_text_of_a_model_comes_as_tokens(
    api: httpx.AsyncClient, client: PipewrightClient, ledger: Ledger
) -> None:
    nodes = [
        fetch("gate", f"{ledger.url}/gate/open/tokens"),
        {"key": "write", "type": "llm", "config": {"prompt": "Tea"}},
    ]
    await client.apply(pipeline("tokens", nodes, [edge("gate", "write")]))
    run_id = str((await client.run("tokens")).run_id)
    await eventually(lambda: ledger.requests["tokens"] == 1, "the request at the gate")
    heard: list[Event] = []
    async with api.stream("GET", f"/pipeline_runs/{run_id}/events") as response:
        async for event in read_events(response.aiter_lines()):
            heard.append(event)
            if event[0] == "snapshot":
                ledger.open_gate()

    tokens = [data for kind, _, data in heard if kind == "token"]
    assert [token["index"] for token in tokens] == sorted(token["index"] for token in tokens)
    assert "".join(token["text"] for token in tokens) == heard[-1][2]["output"]["write"]["text"]


async def test_all_runs_of_a_pipeline_are_told_and_resumed(api: httpx.AsyncClient, client: PipewrightClient) -> None:
    await client.apply(pipeline("watched", [text("a", "1")]))
    await client.apply(pipeline("not-watched", [text("a", "1")]))
    first: list[Event] = []
    async with api.stream("GET", "/events?pipeline=watched") as response:
        lines = response.aiter_lines()
        # The first comment says that the subscription is there.
        assert await anext(lines) == ": keep-alive"
        await client.run("not-watched")
        one = await client.run("watched")
        async for event in read_events(lines):
            first.append(event)
            if event[0] == "completed":
                break
    two = await client.run("watched")
    await client.wait(two.run_id, 20)

    rest = await listen(api, "/events?pipeline=watched", after=first[-1][1], until=2)

    assert {data["run_id"] for _, _, data in first} == {str(one.run_id)}
    assert [kind for kind, _, _ in first] == ["started", "completed"]
    assert [(kind, data["run_id"]) for kind, _, data in rest] == [
        ("started", str(two.run_id)),
        ("completed", str(two.run_id)),
    ]


async def test_what_a_gateway_did_not_live_to_tell_is_told_by_the_next_one(
    api: httpx.AsyncClient, stack: Stack, client: PipewrightClient, ledger: Ledger
) -> None:
    await client.apply(pipeline("outlived", [text("a", "1")]))
    run_id = await gated(client, ledger, "outlived-run")
    path = f"/pipeline_runs/{run_id}/events"
    first: list[Event] = []
    second: list[Event] = []
    with contextlib.suppress(httpx.TransportError):
        async with api.stream("GET", "/events?pipeline=outlived") as all_runs, api.stream("GET", path) as one_run:
            lines = all_runs.aiter_lines()
            assert await anext(lines) == ": keep-alive"
            second.append(await anext(read_events(one_run.aiter_lines())))
            await client.run("outlived")
            async for event in read_events(lines):
                first.append(event)
                if len(first) == 1:
                    stack.kill("gateway")

    ledger.open_gate()
    later = await client.run("outlived")
    await client.wait(later.run_id, 20)
    await client.wait(UUID(run_id), 20)
    await eventually(lambda: is_ready(stack), "the gateway that was started anew")

    first += await listen(api, "/events?pipeline=outlived", after=first[-1][1], until=4 - len(first))
    second += await listen(api, path, after=second[-1][1])

    assert [(kind, data["seq"]) for kind, _, data in first] == [("started", 1), ("completed", 2)] * 2
    numbers = [number for _, number, _ in second if number is not None]
    assert numbers == sorted(set(numbers))
    assert [kind for kind, _, _ in second].count("end") == 1
    assert {history[-1] for history in states(second).values()} == {"completed"}


def is_ready(stack: Stack) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{stack.gateway}/api/v3/ready").status_code == 200
    return False


async def test_unknown_run_and_wrong_id_are_refused(api: httpx.AsyncClient) -> None:
    unknown = await api.get("/pipeline_runs/01900000-0000-7000-8000-000000000000/events")
    wrong = await api.get("/events", headers={"last-event-id": "x"})

    assert (unknown.status_code, wrong.status_code) == (404, 422)


def test_stop_does_not_wait_for_listeners(tmp_path: Any) -> None:
    stack = Stack(tmp_path / "data").start()
    with (
        httpx.Client(base_url=stack.gateway, headers={"authorization": "Bearer test-key-of-the-local-stack"}) as caller,
        caller.stream("GET", "/api/v3/events") as response,
    ):
        assert response.status_code == 200
        began = time.monotonic()
        stack.stop()
        assert time.monotonic() - began < 8


async def test_events_on_nats_are_cloud_events(client: PipewrightClient) -> None:
    heard = await client.nats.subscribe("pipewright.run.event.completed")
    await client.nats.flush()
    started = await client.run("greeting", {"name": "Ada"})

    message = await heard.next_msg(timeout=10)

    headers = message.headers or {}
    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-type"] == "pipewright.run.event.completed"
    assert headers["ce-subject"] == str(started.run_id)
    assert headers["ce-id"].startswith(f"{started.run_id}:")


@pytest.mark.parametrize("path", ["/events", "/pipeline_runs/01900000-0000-7000-8000-000000000000/events"])
async def test_events_need_a_key(stack: Stack, path: str) -> None:
    async with httpx.AsyncClient(base_url=f"{stack.gateway}/api/v3") as stranger:
        assert (await stranger.get(path)).status_code == 401


async def test_stream_ends_when_its_key_is_revoked(api: httpx.AsyncClient, stack: Stack) -> None:
    made = (await api.post("/api_keys", json={"name": "listener", "scopes": ["runs:read"]})).json()
    headers = {"authorization": f"Bearer {made['key']}"}
    async with (
        httpx.AsyncClient(base_url=f"{stack.gateway}/api/v3", headers=headers, timeout=30) as listener,
        listener.stream("GET", "/events?pipeline=greeting") as response,
    ):
        lines = response.aiter_lines()
        assert await anext(lines) == ": keep-alive"

        assert (await api.delete(f"/api_keys/{made['id']}")).status_code == 204

        async with asyncio.timeout(20):
            rest = [line async for line in lines]
    assert not any(line.startswith("data") for line in rest)
