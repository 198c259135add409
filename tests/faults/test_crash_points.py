"""Services that die at the worst moments: at each named point one dies, and every promise is kept."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from random import Random

from services.cli.local.state import load_state
from tests.eventually import eventually
from tests.faults.crashing import POINTS, READY
from tests.faults.nemesis import Nemesis
from tests.faults.report import as_text
from tests.faults.system import HTTP_SLOTS, System
from tests.faults.trial import seed_of_faults, try_out
from tests.stack import clean_environment


async def begin(system: System, point: str, count: int) -> asyncio.subprocess.Process:
    """A further service of the system, which dies when it reaches the point for the nth time."""
    secret = load_state(system.stack.data_dir).secret
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.crashing", point, str(count),
        env=clean_environment() | system.environment | {"PIPEWRIGHT_SECRET": secret},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    assert (await process.stdout.readline()).decode().strip() == READY
    return process


async def test_a_death_at_every_point_breaks_no_promise(faulty: System) -> None:
    seed = seed_of_faults()
    counts = Random(seed)
    async with AsyncExitStack() as stack:
        processes = {}
        for point in POINTS:
            processes[point] = process = await begin(faulty, point, counts.randint(1, 4))
            stack.callback(lambda gone=process: gone.returncode is None and gone.kill())

        async def all_dead(nemesis: Nemesis) -> None:
            """Nothing else goes wrong; the deaths are those of the points."""
            await eventually(lambda: None not in ends().values(), "a death at every point", timeout_s=60)

        def ends() -> dict[str, int | None]:
            return {point: process.returncode for point, process in processes.items()}

        trial = await try_out(faulty, seed, seconds=5, rate=12, calm_s=1, faults={"deaths": all_dead})

        assert ends() == dict.fromkeys(POINTS, -signal.SIGKILL)
    assert not trial.findings.broken(), as_text(trial)
    # Work that was done and could not be told is done again.
    assert trial.findings.extra <= len(POINTS) * HTTP_SLOTS, as_text(trial)
