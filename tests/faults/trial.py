"""One trial: a load, faults meanwhile, then peace; afterwards every promise is checked."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random, SystemRandom

from shared.bus.address import connect
from shared.contracts import subjects
from tests.eventually import eventually
from tests.faults.invariants import Findings, check
from tests.faults.load import Load, Started, loading
from tests.faults.nemesis import FAULTS, Fault, Nemesis
from tests.faults.standstill import now, standstills
from tests.faults.system import HTTP_SLOTS, System

#: After the last fault every run must have ended by then: the promised 30 s, and the time that work itself takes.
PEACE_S = 90.0


def seed_of_faults() -> int:
    """FAULTS_SEED does a trial again; without it each is another."""
    return int(os.environ.get("FAULTS_SEED") or SystemRandom().randrange(1_000_000))


@dataclass(frozen=True)
class Trial:
    """What was done and what was found."""

    seed: int
    seconds: float
    faults: Counter[str]
    disruptions: int
    findings: Findings
    #: The longest time that each run stood still while nothing was wrong, sorted, in seconds.
    standstills: list[float]

    @property
    def most_extra(self) -> int:
        """What may have been in flight: all slots of both workers that call the ledger, at each disruption."""
        return self.disruptions * 2 * HTTP_SLOTS


async def try_out(
    system: System,
    seed: int,
    *,
    seconds: float,
    rate: float,
    calm_s: float,
    faults: dict[str, Fault] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Trial:
    """Load and faults for so many seconds, or until the last fault is over; then wait for the end of all runs."""
    begun = time.monotonic()
    # The nemesis has a connection that no proxy carries.
    client = await connect(system.nats_url, max_reconnect_attempts=-1, reconnect_time_wait=0.25)
    try:
        async with loading(system, seed) as load:
            nemesis = Nemesis(system, Random(seed + 1), client)
            await client.subscribe(subjects.ALL_NODE_RESULTS, cb=nemesis.keep)
            progress = asyncio.create_task(_tell(say, nemesis, load))
            async with asyncio.TaskGroup() as group:
                raging = group.create_task(nemesis.run(seconds, calm_s, faults or FAULTS))
                group.create_task(load.run(rate, raging.done))
            progress.cancel()
            say(f"the last fault is over; waiting for the end of {len(load.started)} runs")
            await wait_for_ends(system, load.started)
            findings = await check(system, load.started)
            stood = await standstills(system, nemesis.periods, now())
    finally:
        await client.close()
    counts = Counter(name for name, _ in nemesis.done)
    return Trial(seed, time.monotonic() - begun, counts, nemesis.disruptions, findings, stood)


async def _tell(say: Callable[[str], None], nemesis: Nemesis, load: Load) -> None:
    while True:
        await asyncio.sleep(10)
        say(f"{len(load.started)} runs started, {len(nemesis.done)} faults done")


async def wait_for_ends(system: System, started: list[Started]) -> None:
    """Or until the time is over; the check says who is late."""
    promised = [one.run_id for one in started if one.acknowledged_at is not None]

    async def all_ended() -> bool:
        [row] = await system.query(
            "SELECT count(*) FILTER (WHERE finished_at IS NULL) AS going_on, "
            "count(*) FILTER (WHERE id = ANY(%s)) AS there FROM runs.pipeline_runs",
            promised,
        )
        return row["going_on"] == 0 and row["there"] == len(set(promised))

    try:
        await eventually(all_ended, "the end of all runs", timeout_s=PEACE_S)
    except AssertionError:
        return
