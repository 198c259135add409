"""Large runs: as a document through REST, beside small runs, and behind few slots."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import httpx
import pytest

from shared.client import PipewrightClient
from shared.contracts.states import RunStatus
from tests.e2e.graphs import fan, fetch, pipeline
from tests.eventually import eventually
from tests.ledger import Ledger


async def test_ten_thousand_nodes_by_rest(api: httpx.AsyncClient) -> None:
    created = await api.post("/pipelines", json=fan("ten-thousand", 10_000))
    assert created.status_code == 201, created.text
    assert (await api.post("/pipelines/ten-thousand/publish")).status_code == 200

    run = (await api.post("/pipelines/ten-thousand/execute?wait=60", json={})).json()

    assert run["status"] == "completed"
    assert run["output"] == {"last": {"text": "start m0, and so on"}}
    found = (await api.get(f"/pipeline_runs/{run['id']}?include=node_results")).json()
    assert len(found["node_results"]) == 10_002
    assert {node["status"] for node in found["node_results"]} == {"completed"}
    assert {len(node["attempts"]) for node in found["node_results"]} == {1}
    # The document is read, replaced and deleted again at this size.
    whole = (await api.get("/pipelines/ten-thousand")).json()
    assert len(whole["nodes"]) == 10_002
    assert (await api.delete("/pipelines/ten-thousand")).status_code == 204


async def test_waiting_in_the_queue_is_not_bounded_by_the_timeout(client: PipewrightClient, ledger: Ledger) -> None:
    """2,000 nodes of 0.1 s on 4 slots: the last waits for 50 s, 25 times what its timeout is."""
    nodes = [fetch(f"n{number}", f"{ledger.url}/nap/0.1/queued-{number}", timeout_s=2) for number in range(2000)]
    await client.apply(pipeline("queued", nodes))

    started = await client.run("queued")
    run = await client.wait(started.run_id, 180)

    assert run.status is RunStatus.COMPLETED, run.error
    assert ledger.of("queued-") == {f"queued-{number}": 1 for number in range(2000)}
    whole = await client.get_run(run.id, include_node_results=True)
    assert all(len(node.attempts) == 1 for node in whole.node_results or [])


async def test_small_run_passes_a_large_one_of_the_same_type(
    client: PipewrightClient, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    large = [fetch(f"n{number}", f"{ledger.url}/nap/0.3/large-{number}") for number in range(10_000)]
    await client.apply(pipeline("large-neighbour", large))
    await client.apply(pipeline("small-neighbour", [fetch("one", f"{ledger.url}/nap/0.3/small")]))
    alone_s = sorted([await time_of_run(client, "small-neighbour") for _ in range(10)])
    neighbour = await client.run("large-neighbour")
    await eventually(lambda: len(ledger.of("large-")) > 8, "the large run's work")

    beside_s = sorted([await time_of_run(client, "small-neighbour") for _ in range(10)])

    await client.cancel(neighbour.run_id)
    middle, nearly_all = median(beside_s) / median(alone_s), beside_s[-2] / alone_s[-2]
    with capsys.disabled():
        print(f"\na run beside 10,000 nodes takes {middle:.2f} times as long; at p90 {nearly_all:.2f} times")
    assert nearly_all <= 3, (alone_s, beside_s)


async def time_of_run(client: PipewrightClient, slug: str) -> float:
    began = time.monotonic()
    started = await client.run(slug)
    run = await client.wait(started.run_id, 60)
    assert run.status is RunStatus.COMPLETED
    return time.monotonic() - began


async def test_deleted_pipeline_leaves_its_run_alone(
    api: httpx.AsyncClient, client: PipewrightClient, ledger: Ledger
) -> None:
    nodes = [fetch(f"n{number}", f"{ledger.url}/nap/0.2/deleted-{number}") for number in range(12)]
    await client.apply(pipeline("deleted-early", nodes))
    started = await client.run("deleted-early")
    await eventually(lambda: len(ledger.of("deleted-")) >= 4, "the run's work")

    assert (await api.delete("/pipelines/deleted-early")).status_code == 204
    assert (await api.post("/pipelines", json=pipeline("deleted-early", nodes))).status_code == 201

    run = await client.wait(started.run_id, 30)
    assert run.status is RunStatus.COMPLETED
    assert len(run.output or {}) == 12


async def test_nothing_begins_after_a_cancel(client: PipewrightClient, ledger: Ledger) -> None:
    nodes = [fetch(f"n{number}", f"{ledger.url}/nap/0.1/stopped-{number}") for number in range(500)]
    await client.apply(pipeline("stopped", nodes))
    await client.apply(pipeline("later", [fetch("one", f"{ledger.url}/nap/0.1/later")]))
    started = await client.run("stopped")
    await eventually(lambda: len(ledger.of("stopped-")) >= 8, "the run's work")

    await client.cancel(started.run_id)
    answered_at = time.monotonic()

    # Another run's work comes after all that was in the queue.
    later = [await client.run("later") for _ in range(8)]
    await asyncio.gather(*(client.wait(run.run_id, 60) for run in later))
    begun = [moment for name in ledger.of("stopped-") for moment in ledger.times[name]]
    assert max(begun) <= answered_at + 1
    assert len(begun) < 100
