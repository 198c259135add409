"""The most memory that any service had while it was looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psutil

from tests.faults.system import System

SAMPLE_S = 0.5


@asynccontextmanager
async def watching_memory(system: System) -> AsyncIterator[dict[str, float]]:
    """Filled with the peak of the resident memory of each service, in MB, while it is entered."""
    peaks: dict[str, float] = {}

    async def sample() -> None:
        while True:
            for name, pid in (await system.pids()).items():
                with suppress(psutil.NoSuchProcess):
                    peaks[name] = max(peaks.get(name, 0.0), psutil.Process(pid).memory_info().rss / 1e6)
            await asyncio.sleep(SAMPLE_S)

    task = asyncio.create_task(sample())
    try:
        yield peaks
    finally:
        task.cancel()
