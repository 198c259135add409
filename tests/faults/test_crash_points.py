"""Services that die or freeze at the worst moments: at each named point one does, and every promise is kept."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random

import psutil
import pytest

from services.cli.local.state import load_state
from tests.eventually import eventually
from tests.faults.crashing import POINTS, READY
from tests.faults.nemesis import Nemesis
from tests.faults.report import as_text
from tests.faults.system import System
from tests.faults.trial import seed_of_faults, try_out
from tests.ports import free_port
from tests.stack import API_KEY, clean_environment

#: Longer than NATS waits for an acknowledgement: what thaws is a zombie.
FROZEN_S = 12.0


@dataclass
class Victim:
    """A further service of the system, which gets this signal when it reaches its point."""

    point: str
    signal: signal.Signals
    process: asyncio.subprocess.Process

    async def is_struck(self) -> None:
        """Until it is dead, or has been frozen and goes on."""
        await eventually(self._has_arrived, f"a service {self.point}", timeout_s=120)
        if self.signal is signal.SIGSTOP:
            await asyncio.sleep(FROZEN_S)
            self.process.send_signal(signal.SIGCONT)

    def _has_arrived(self) -> bool:
        if self.signal is signal.SIGKILL:
            return self.process.returncode == -signal.SIGKILL
        return psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED


async def begin(system: System, point: str, count: int, number: signal.Signals, stack: AsyncExitStack) -> Victim:
    """It is gone when the stack is left, whatever became of it."""
    environment = clean_environment() | system.environment
    environment["PIPEWRIGHT_SECRET"] = load_state(system.stack.data_dir).secret
    if POINTS[point].service == "gateway":
        port = free_port()
        environment |= {"PIPEWRIGHT_PORT": str(port), "PIPEWRIGHT_API_KEY": API_KEY}
        system.more_gateways.append(f"http://127.0.0.1:{port}")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.crashing", point, str(count), str(int(number)),
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    stack.callback(lambda: process.returncode is None and process.kill())
    assert process.stdout is not None
    assert (await process.stdout.readline()).decode().strip() == READY
    return Victim(point, number, process)


async def strike_everywhere(system: System, seed: int, signals: dict[str, signal.Signals]) -> str:
    """One victim a point, all at once; returns the report."""
    counts = Random(seed)
    async with AsyncExitStack() as stack:
        beginning = [begin(system, point, counts.randint(1, 4), signals[point], stack) for point in POINTS]
        victims = await asyncio.gather(*beginning)

        async def all_struck(nemesis: Nemesis) -> None:
            """Nothing else goes wrong."""
            nemesis.hits(*(f"worker-{POINTS[point].service}" for point in POINTS))
            await asyncio.gather(*(victim.is_struck() for victim in victims))

        trial = await try_out(system, seed, seconds=5, rate=12, calm_s=1, faults={"crash points": all_struck})

    report = as_text(trial)
    assert not trial.broken(), report
    return report


async def test_a_death_or_a_freeze_at_every_point_breaks_no_promise(faulty: System) -> None:
    """The seed chooses which dies and which freezes."""
    seed = seed_of_faults()
    choice = Random(seed + 2)

    print(await strike_everywhere(
        faulty, seed, {point: choice.choice([signal.SIGKILL, signal.SIGSTOP]) for point in POINTS}
    ))  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_every_point_breaks_no_promise(faulty: System, number: signal.Signals) -> None:
    print(await strike_everywhere(faulty, seed_of_faults(), dict.fromkeys(POINTS, number)))
