"""The workloads W1 to W7."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from tests.bench import graphs
from tests.bench.driver import Driver
from tests.bench.figures import Figure, percentile
from tests.bench.machine import Usage, pss_mb
from tests.bench.rest import Caller
from tests.bench.stubs import Stubs
from tests.stack import Stack


@dataclass
class Bench:
    """What a workload measures with."""

    stack: Stack
    driver: Driver
    stubs: Stubs

    def usage(self) -> Usage:
        return Usage(self.stack.pids())


async def hops(bench: Bench) -> list[Figure]:
    """W1: a chain of 10, one run at a time."""
    slug = await bench.driver.apply(graphs.chain(10))
    for _ in range(5):
        await bench.driver.run(slug)
    found: list[float] = []
    with bench.usage() as usage:
        for _ in range(30):
            run_ids, _ = await bench.driver.run(slug)
            run = await bench.driver.read(run_ids[0])
            starts = [node.started_at for node in run.node_results or [] if node.started_at is not None]
            found += [(later - earlier).total_seconds() * 1000 for earlier, later in pairwise(starts)]
    p50 = median(found)
    return [
        Figure("W1", "hop p50", p50, "ms", detail=_machine(usage)),
        Figure("W1", "hop p50 / (echo + commit)", p50, "x", must=3, aim=1.6, of_floor="hop_ms"),
        Figure("W1", "hop p99", percentile(found, 99), "ms", must=6, aim=3),
    ]


async def narrow_fan(bench: Bench) -> list[Figure]:
    """W2: 1 -> 200 -> 1."""
    slug = await bench.driver.apply(graphs.fan(200))
    await bench.driver.run(slug)
    with bench.usage() as usage:
        walls = [(await bench.driver.run(slug))[1] for _ in range(5)]
    wall_ms = median(walls) * 1000
    return [
        Figure(
            "W2",
            "wall",
            wall_ms,
            "ms",
            must=50,
            aim=20,
            detail={"ms a node": round(wall_ms / 202, 3)} | _machine(usage),
        )
    ]


async def many_runs(bench: Bench) -> list[Figure]:
    """W3: 1,000 runs of a; b, c; d; e at once; the median of three times, since one is over in a second."""
    slug = await bench.driver.apply(graphs.diamond())
    await bench.driver.run(slug, 50)
    with bench.usage() as usage:
        times = [await bench.driver.run(slug, 1000) for _ in range(3)]
    wall_s = median(seconds for _, seconds in times)
    shown = [run_id for run_ids, _ in times for run_id in run_ids[::10]]
    runs = await asyncio.gather(*(bench.driver.client.get_run(run_id) for run_id in shown))
    durations = [run.duration_ms for run in runs if run.duration_ms is not None]
    rate = 5000 / wall_s
    nodes = 5000 * len(times)
    cpu_ms = _cpu(usage, nodes)
    return [
        Figure("W3", "nodes", rate, "/s", detail=_machine(usage)),
        Figure("W3", "nodes/s / echo", rate, "%", must=30, aim=65, more_is_better=True, of_floor="echo_per_s"),
        Figure("W3", "run p50", median(durations), "ms"),
        Figure("W3", "run p99", percentile(durations, 99), "ms"),
        Figure("W3", "CPU a node", 1000 * sum(usage.cpu_s.values()) / nodes, "CPU ms", detail=cpu_ms),
    ]


async def wide_fan(bench: Bench) -> list[Figure]:
    """W4: 1 -> 10,000 -> 1, and a node's time against one of W2."""
    narrow, wide = await bench.driver.apply(graphs.fan(200)), await bench.driver.apply(graphs.fan(10_000))
    await bench.driver.run(narrow)
    narrow_s = median([(await bench.driver.run(narrow))[1] for _ in range(5)])
    await bench.driver.run(wide)
    with bench.usage() as usage:
        walls = [(await bench.driver.run(wide))[1] for _ in range(3)]
    wall_s = median(walls)
    ratio = (wall_s / 10_002) / (narrow_s / 202)
    cpu_ms = _cpu(usage, 30_006)
    return [
        Figure(
            "W4",
            "wall",
            wall_s,
            "s",
            must=1.2,
            aim=0.5,
            detail={"ms a node": round(wall_s / 10.002, 4)} | _machine(usage),
        ),
        Figure("W4", "a node / a node of W2", ratio, "x", must=1.0),
        Figure("W4", "CPU a node", sum(cpu_ms.values()), "CPU ms", detail=cpu_ms),
        await _wide_by_rest(bench),
    ]


async def _wide_by_rest(bench: Bench) -> Figure:
    """Document and run by REST: a node of 10,000 parallel ones against one of 100."""
    few_s = median([await _seconds_by_rest(bench, 100, number) for number in range(6)][1:])
    many_s = median([await _seconds_by_rest(bench, 10_000, number) for number in range(3)])
    ratio = (many_s / 10_002) / (few_s / 102)
    detail = {"10,000": f"{many_s:.2f} s", "100": f"{few_s * 1000:.0f} ms"}
    return Figure("W4", "by REST, a node / one of 100", ratio, "x", must=1.5, detail=detail)


async def _seconds_by_rest(bench: Bench, width: int, number: int) -> float:
    document = {**graphs.fan(width), "slug": f"bench-rest-{width}-{number}"}
    async with Caller(bench.stack.port) as caller:
        began = time.perf_counter()
        await caller.publish(document)
        await caller.execute(document["slug"], {"n": number}, wait_s=60)
        return time.perf_counter() - began


async def by_rest(bench: Bench) -> list[Figure]:
    """W5: text -> HTTP GET -> LLM -> text by REST with ?wait."""
    slug = await bench.driver.apply(graphs.content(f"{bench.stubs.url}/items/1"))
    bench.stubs.set_delay(0)
    await _execute(bench, slug, 50, 50)
    alone, _ = await _execute(bench, slug, 100, 1)
    with bench.usage() as usage:
        _, wall_s = await _execute(bench, slug, 1000, 50)
    detail = _machine(usage) | _cpu(usage, 1000)
    return [
        Figure("W5", "at 1, p50", median(alone), "ms", must=15, aim=8),
        Figure("W5", "at 1, p99", percentile(alone, 99), "ms"),
        Figure(
            "W5",
            "at 50",
            1000 / wall_s,
            "/s",
            must=200,
            aim=500,
            more_is_better=True,
            detail=detail,
        ),
    ]


async def slow_model(bench: Bench) -> list[Figure]:
    """W6: the same with a model that takes 500 ms, 200 at once."""
    slug = await bench.driver.apply(graphs.content(f"{bench.stubs.url}/items/1"))
    bench.stubs.set_delay(0)
    await _execute(bench, slug, 200, 200)
    bench.stubs.set_delay(0.5)
    bench.stubs.most_calls()
    with bench.usage() as usage:
        _, wall_s = await _execute(bench, slug, 1000, 200)
    detail = _machine(usage) | _cpu(usage, 1000)
    bench.stubs.set_delay(0)
    return [
        Figure(
            "W6",
            "runs",
            1000 / wall_s,
            "/s",
            must=250,
            aim=380,
            more_is_better=True,
            detail=detail,
        ),
        Figure("W6", "model calls in flight", bench.stubs.most_calls(), "", must=200, more_is_better=True),
    ]


async def idle(bench: Bench) -> list[Figure]:
    """W7: 10 s without work; what it costs to be there."""
    percent, memory, detail = await _rest(bench)
    return [
        Figure("W7", "CPU of a core", percent, "%", must=3, aim=1, detail=detail),
        Figure("W7", "memory", sum(memory.values()), "MB", must=400, aim=300, detail=memory),
        Figure("W7", "ready after", bench.stack.ready_after_s, "s", must=8, aim=4),
    ]


async def idle_again(bench: Bench) -> list[Figure]:
    """W7 once more: what the other workloads leave behind; no target names it."""
    percent, memory, detail = await _rest(bench)
    return [
        Figure("W7", "CPU of a core, after the load", percent, "%", detail=detail),
        Figure("W7", "memory, after the load", sum(memory.values()), "MB", detail=memory),
    ]


async def _rest(bench: Bench) -> tuple[float, dict[str, float], dict[str, Any]]:
    """10 s of it: the percentage of a core, the MB of every process, and what the machine did meanwhile."""
    pids = {name: pid for name, pid in bench.stack.pids().items() if not name.startswith("demo")}
    with Usage(pids) as usage:
        await asyncio.sleep(10)
    memory = {name: round(pss_mb(pid), 1) for name, pid in pids.items()}
    everything = sum(pss_mb(pid) for pid in bench.stack.pids().values())
    memory["supervisor"] = round(pss_mb(bench.stack.supervisor_pid()) - everything, 1)
    return 100 * sum(usage.cpu_s.values()) / usage.wall_s, memory, _machine(usage)


Workload = Callable[[Bench], Awaitable[list[Figure]]]

#: In this order: idle is a stack that nothing was asked of.
WORKLOADS: dict[str, Workload] = {
    "W7": idle,
    "W1": hops,
    "W2": narrow_fan,
    "W3": many_runs,
    "W4": wide_fan,
    "W5": by_rest,
    "W6": slow_model,
}


def _machine(usage: Usage) -> dict[str, Any]:
    return {"client": f"{usage.client_s} s", "other work": f"{usage.others_percent} % of a core"}


async def _execute(bench: Bench, slug: str, count: int, at_once: int) -> tuple[list[float], float]:
    """Each caller sends its next request when it has its answer; times in ms, and the wall in s."""
    times: list[float] = []
    numbers = iter(range(count))

    async def call() -> None:
        async with Caller(bench.stack.port) as caller:
            for number in numbers:
                began = time.perf_counter()
                await caller.execute(slug, {"n": number})
                times.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(call())
    return times, time.perf_counter() - began


def _cpu(usage: Usage, count: int) -> dict[str, float]:
    """CPU milliseconds by process, for each of so many."""
    return {name: round(1000 * seconds / count, 3) for name, seconds in usage.cpu_s.items() if seconds > 0.01}
