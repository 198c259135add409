"""`make soak`: a steady load for half an hour; what every process holds meanwhile, and how fast that grows."""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import httpx
import psutil

from shared.logging import configure_logging
from tests.faults.invariants import check
from tests.faults.load import loading
from tests.faults.system import System, system
from tests.faults.trial import wait_for_ends
from tests.ports import free_port

SAMPLE_S = 5.0
#: What is filled once, such as caches, is no growth.
WARM_UP_PART = 0.25
TASKS = re.compile(r"^pipewright_tasks (\S+)$", re.MULTILINE)

#: (process, what) -> (seconds, value) for every sample.
Samples = dict[tuple[str, str], list[tuple[float, float]]]


async def sample(started: System, first_port: int, seconds: float, into: Samples) -> None:
    """Once, of every process."""
    pids = await started.pids()
    async with httpx.AsyncClient(timeout=5) as client:
        for number, (name, pid) in enumerate(pids.items()):
            process = psutil.Process(pid)
            into[name, "memory, MB"].append((seconds, process.memory_info().rss / 1e6))
            into[name, "descriptors"].append((seconds, process.num_fds()))
            into[name, "connections"].append((seconds, len(process.net_connections())))
            if not name.startswith("demo"):
                shown = await client.get(f"http://127.0.0.1:{first_port + number}/metrics")
                if found := TASKS.search(shown.text):
                    into[name, "tasks"].append((seconds, float(found[1])))


def slope_an_hour(samples: list[tuple[float, float]]) -> float:
    """Least squares over what comes after the warm-up."""
    kept = samples[int(len(samples) * WARM_UP_PART) :]
    middle_s = sum(seconds for seconds, _ in kept) / len(kept)
    middle = sum(value for _, value in kept) / len(kept)
    above = sum((seconds - middle_s) * (value - middle) for seconds, value in kept)
    below = sum((seconds - middle_s) ** 2 for seconds, _ in kept)
    return 3600 * above / below if below else 0.0


async def soak(minutes: float, rate: float, folder: Path) -> int:
    first_port = free_port()
    async with system(folder, coordinators=2, health_port=first_port) as started:
        samples: Samples = defaultdict(list)
        async with loading(started, seed=1) as load:
            began = time.monotonic()
            end = began + 60 * minutes
            driving = asyncio.create_task(load.run(rate, lambda: time.monotonic() >= end))
            while (now := time.monotonic()) < end:
                await sample(started, first_port, now - began, samples)
                print(f"{now - began:6.0f} s, {len(load.started)} runs started", file=sys.stderr)
                await asyncio.sleep(SAMPLE_S)
            await driving
            await wait_for_ends(started, load.started)
            findings = await check(started, load.started)
    print(f"{findings.runs} runs, {findings.executions} executions, {len(findings.extra)} extra, {minutes:g} minutes")
    print(f"{'process':36} {'what':12} {'first':>10} {'last':>10} {'an hour':>10}")
    for (name, what), found in sorted(samples.items()):
        print(f"{name:36} {what:12} {found[0][1]:10.1f} {found[-1][1]:10.1f} {slope_an_hour(found):+10.1f}")
    broken = findings.broken()
    for name, texts in broken.items():
        print(f"BROKEN {name}: {texts[0]}")
    return 1 if broken or findings.extra else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=20, help="runs started a second")
    arguments = parser.parse_args()
    configure_logging("soak", "ERROR", "console")
    folder = Path(tempfile.mkdtemp(prefix="pipewright-soak-"))
    try:
        return asyncio.run(soak(arguments.minutes, arguments.rate, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
