"""Ten times what the system can carry: nothing accepted is lost, memory is bounded, and soon all is as before."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import orjson
import psutil
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.client import PipewrightClient
from shared.contracts import subjects
from tests.e2e.graphs import pipeline, text
from tests.eventually import eventually
from tests.faults.system import System

#: `OVERLOAD_SECONDS=60` is the long form.
SECONDS = float(os.environ.get("OVERLOAD_SECONDS") or 5)
TIMES = 10
RECOVERED_WITHIN_S = 30.0
#: Of any one service; at rest each has about 80.
MOST_MEMORY_MB = 400
REQUEST = orjson.dumps({"pipeline": "small", "input": {}})


async def test_beyond_capacity_starts_are_refused_at_once_and_nothing_accepted_is_lost(faulty: System) -> None:
    async with PipewrightClient.connect(faulty.nats_url) as ours:
        await ours.apply(pipeline("small", [text("only", "hello")]))
    client = await nats.connect(faulty.nats_url)
    try:
        capacity = await _capacity(faulty, client)
        before_s = await _latency(client)
        pids = list((await faulty.pids()).values())

        answers, accepted = Counter[str](), set[str]()

        async def heard(message: Msg) -> None:
            answer = orjson.loads(message.data)
            if "run_id" in answer:
                accepted.add(answer["run_id"])
            answers[answer["error"]["type"] if "error" in answer else "accepted"] += 1
            if "error" in answer:
                assert answer["error"]["retry_after_s"] > 0

        inbox = client.new_inbox()
        await client.subscribe(inbox, cb=heard)
        async with _watching(pids) as peak_mb:
            sent = await _flood(client, inbox, capacity * TIMES)
            over = time.monotonic()
            await eventually(lambda: answers.total() == sent, "an answer to each request", timeout_s=60)
            await eventually(lambda: _is_as_before(client, before_s), "the usual latency", timeout_s=RECOVERED_WITHIN_S)
            recovery_s = time.monotonic() - over
        await eventually(lambda: _all_completed(faulty, accepted), "the end of what was accepted", timeout_s=60)
    finally:
        await client.close()
    print(
        f"capacity {capacity:.0f} runs/s; {sent} sent in {SECONDS:g} s: {dict(answers)}; "
        f"usual again after {recovery_s:.1f} s; at most {max(peak_mb):.0f} MB in one service"
    )
    assert set(answers) <= {"accepted", "overloaded"}
    assert max(peak_mb) < MOST_MEMORY_MB


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


async def _flood(client: Client, inbox: str, rate: float) -> int:
    """Open loop: it asks on time, whatever the answers; how many it asked for."""
    begun, sent = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < SECONDS:
        while sent < passed * rate:
            await client.publish(subjects.RUNS_START, REQUEST, reply=inbox)
            sent += 1
        await asyncio.sleep(0.002)
    await client.flush()
    return sent


async def _is_as_before(client: Client, before_s: float) -> bool:
    return await _latency(client) <= max(3 * before_s, 0.1)


async def _all_completed(system: System, accepted: set[str]) -> bool:
    [row] = await system.query(
        "SELECT count(*) AS completed FROM runs.pipeline_runs WHERE id = ANY(%s::uuid[]) AND status = 'completed'",
        list(accepted),
    )
    return bool(row["completed"] == len(accepted))


@asynccontextmanager
async def _watching(pids: list[int]) -> AsyncIterator[list[float]]:
    """Filled with the resident memory of each process, in MB, while it is entered."""
    samples: list[float] = []

    async def sample() -> None:
        while True:
            samples.extend(psutil.Process(pid).memory_info().rss / 1e6 for pid in pids)
            await asyncio.sleep(0.2)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()
