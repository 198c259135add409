"""Ten times what the system can carry: nothing accepted is lost, memory is bounded, and soon all is as before."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import orjson
import pytest
from nats.aio.client import Client

from shared.bus.address import connect
from shared.client import PipewrightClient
from shared.contracts import subjects
from tests.e2e.graphs import pipeline, text
from tests.eventually import eventually
from tests.faults.flood import SLUG, flooding
from tests.faults.memory import watching_memory
from tests.faults.system import System

TIMES = 10
#: Times the capacity that were really asked for: NATS makes who asks wait, and so does a machine that is not free.
REALLY = 3
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
    capacity = await _capacity(system, client)
    before_s = await _latency(client)
    api = f"{system.stack.gateway}/api/v3"
    async with watching_memory(system) as peaks_mb:
        async with flooding(system.nats_url, api, capacity, TIMES, seconds) as flood:
            took_s = await flood.asked()
            over = time.monotonic()
            report = await flood.report()
        await eventually(lambda: _is_as_before(client, before_s), "the usual latency", timeout_s=RECOVERED_WITHIN_S)
        recovery_s = time.monotonic() - over
        accepted = set(report["accepted"])
        await eventually(lambda: _all_completed(system, accepted), "the end of what was accepted", 300)
    await client.close()

    sent, answers = Counter(report["sent"]), Counter(report["answers"])
    times = sent.total() / took_s / capacity
    print(
        f"capacity {capacity:.0f} runs/s; {times:.1f} times as many asked for in {took_s:.1f} s: {dict(sent)}; "
        f"{dict(answers)}; "
        f"0 lost of {len(accepted)} accepted; usual again after {recovery_s:.1f} s; "
        f"peak memory {max(peaks_mb.values()):.0f} MB of {max(peaks_mb, key=lambda name: peaks_mb[name])}"
    )
    assert times >= REALLY
    assert report["bad"] == []
    assert all(answers[f"{way}: {word}"] for way, word in (("reply", "accepted"), ("stream", "accepted")))
    assert answers["reply: overloaded"] > 0
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
