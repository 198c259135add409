"""Ten times what the system can carry: nothing accepted is lost, memory is bounded, and soon all is as before."""

from __future__ import annotations

import asyncio
import time

import httpx
import orjson
import pytest
from nats.aio.client import Client

from shared.bus.address import connect
from shared.client import PipewrightClient
from shared.contracts import subjects
from tests.e2e.graphs import pipeline, text
from tests.eventually import eventually
from tests.faults.flood import SLUG, Flood
from tests.faults.memory import watching_memory
from tests.faults.system import System
from tests.stack import API_KEY

TIMES = 10
RECOVERED_WITHIN_S = 30.0
#: Of any one service; at rest each has about 80.
MOST_MEMORY_MB = 400
REQUEST = orjson.dumps({"pipeline": SLUG, "input": {}})


async def test_beyond_capacity_starts_are_refused_at_once_and_nothing_accepted_is_lost(faulty: System) -> None:
    await overload(faulty, seconds=5)


@pytest.mark.long
async def test_a_minute_beyond_capacity(faulty: System) -> None:
    await overload(faulty, seconds=60)


async def overload(system: System, seconds: float) -> None:
    async with PipewrightClient.connect(system.nats_url) as ours:
        await ours.apply(pipeline(SLUG, [text("only", "hello")]))
    client = await connect(system.nats_url)
    headers = {"authorization": f"Bearer {API_KEY}"}
    address = f"{system.stack.gateway}/api/v3"
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as http:
        capacity = await _capacity(system, client)
        before_s = await _latency(client)
        flood = Flood(client, http)
        async with watching_memory(system) as peaks_mb:
            await flood.run(capacity, TIMES, seconds)
            over = time.monotonic()
            await eventually(flood.is_answered, "an answer to each request", timeout_s=60)
            await eventually(lambda: _is_as_before(client, before_s), "the usual latency", timeout_s=RECOVERED_WITHIN_S)
            recovery_s = time.monotonic() - over
            await eventually(lambda: _all_completed(system, flood.accepted), "the end of what was accepted", 300)
    await client.close()

    print(
        f"capacity {capacity:.0f} runs/s; {dict(flood.sent)} sent in {seconds:g} s: {dict(flood.answers)}; "
        f"0 lost of {len(flood.accepted)} accepted; usual again after {recovery_s:.1f} s; "
        f"peak memory {max(peaks_mb.values()):.0f} MB of {len(peaks_mb)} services"
    )
    assert flood.bad == []
    assert all(flood.answers[f"{way}: {word}"] for way, word in (("reply", "accepted"), ("stream", "accepted")))
    assert flood.answers["reply: overloaded"] > 0
    assert recovery_s <= RECOVERED_WITHIN_S
    assert max(peaks_mb.values()) < MOST_MEMORY_MB


async def _start(client: Client) -> str:
    answer = await client.request(subjects.RUNS_START, REQUEST, timeout=20)
    return str(orjson.loads(answer.data)["run_id"])


async def _capacity(system: System, client: Client) -> float:
    """Runs a second, from the first start to the last end, of 2,000 that come 200 at a time."""
    begun, started = time.monotonic(), set[str]()
    for _ in range(10):
        started.update(await asyncio.gather(*(_start(client) for _ in range(200))))
    await eventually(lambda: _all_completed(system, started), "the end of the first runs", timeout_s=60)
    return len(started) / (time.monotonic() - begun)


async def _latency(client: Client) -> float:
    """The slowest of ten starts, one after another, in seconds."""
    times = []
    for _ in range(10):
        begun = time.monotonic()
        await _start(client)
        times.append(time.monotonic() - begun)
    return max(times)


async def _is_as_before(client: Client, before_s: float) -> bool:
    try:
        return await _latency(client) <= max(3 * before_s, 0.1)
    except KeyError:
        # Refused: not as before.
        return False


async def _all_completed(system: System, accepted: set[str]) -> bool:
    [row] = await system.query(
        "SELECT count(*) AS completed FROM runs.pipeline_runs WHERE id = ANY(%s::uuid[]) AND status = 'completed'",
        list(accepted),
    )
    return bool(row["completed"] == len(accepted))
