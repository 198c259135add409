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
from shared.postgres import as_json
from tests.eventually import eventually
from tests.faults.catalogue import FAULTS
from tests.faults.extra import Done, explain
from tests.faults.invariants import Findings, check
from tests.faults.load import PLAIN, Load, Started, loading
from tests.faults.memory import watching_memory
from tests.faults.nemesis import Fault, Nemesis
from tests.faults.standstill import Standstills, now, standstills
from tests.faults.system import System

#: A run goes on within so long, as long as no fault goes on.
MOST_STANDSTILL_S = 30.0
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
    done: list[Done]
    commits_cut: int
    findings: Findings
    standstills: Standstills
    #: The most memory that each service had, in MB.
    peaks_mb: dict[str, float]

    @property
    def faults(self) -> Counter[str]:
        return Counter(fault.name for fault in self.done)

    @property
    def extra_by_fault(self) -> Counter[str]:
        return explain(self.findings.extra, self.done)[0]

    def most_extra(self, name: str) -> int:
        """What was in flight in what the faults of this kind hit."""
        return sum(fault.most_extra for fault in self.done if fault.name == name)

    def broken(self) -> dict[str, list[str]]:
        """By promise, in words; empty when all were kept."""
        found = self.findings.broken()
        _, unexplained = explain(self.findings.extra, self.done)
        if unexplained:
            found["repetition"] = [str(extra) for extra in unexplained]
        late = [stood for stood in self.standstills.of_all if stood > MOST_STANDSTILL_S]
        if late:
            found["standstill"] = [f"{stood:.1f} s" for stood in late]
        if self.commits_cut != self.faults["connection cut in a commit"]:
            found["commits_cut"] = [f"{self.commits_cut} commits were cut"]
        return found


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
    client = await connect(
        system.nats_url, max_reconnect_attempts=-1, reconnect_time_wait=0.25, error_cb=_expect_errors
    )
    try:
        async with loading(system, seed) as load, watching_memory(system) as peaks_mb:
            nemesis = Nemesis(system, Random(seed + 1), client)
            await nemesis.listen()
            progress = asyncio.create_task(_tell(say, nemesis, load))
            async with asyncio.TaskGroup() as group:
                raging = group.create_task(nemesis.run(seconds, calm_s, FAULTS if faults is None else faults))
                group.create_task(load.run(rate, raging.done))
            progress.cancel()
            say(f"the last fault is over; waiting for the end of {len(load.started)} runs")
            await wait_for_ends(system, load.started)
            findings = await check(system, load.started)
            stood = await standstills(system, load.started, nemesis.periods, now())
    finally:
        await client.close()
    return Trial(seed, time.monotonic() - begun, nemesis.done, nemesis.commits_cut, findings, stood, peaks_mb)


async def _expect_errors(error: Exception) -> None:
    """The nemesis itself cuts it off."""


async def _tell(say: Callable[[str], None], nemesis: Nemesis, load: Load) -> None:
    while True:
        await asyncio.sleep(10)
        say(f"{len(load.started)} runs started, {len(nemesis.done)} faults done")


async def wait_for_ends(system: System, started: list[Started]) -> None:
    """Or until the time is over; the check says who is late."""
    acknowledged = [one for one in started if one.acknowledged_at is not None]
    promised = {one.run_id for one in acknowledged if one.way != PLAIN}
    # Of these nobody knows the ids; one may come again seconds after the last fault.
    plain = [{"slug": one.shape.slug, "number": one.number} for one in acknowledged if one.way == PLAIN]

    async def all_ended() -> bool:
        [missing] = await system.query(
            "SELECT count(*) AS count FROM json_to_recordset(%s::json) AS asked (slug text, number text) "
            "WHERE NOT EXISTS (SELECT FROM runs.pipeline_runs AS run "
            "WHERE run.pipeline_slug = asked.slug AND run.input->>'number' = asked.number)",
            as_json(plain),
        )
        [row] = await system.query(
            "SELECT count(*) FILTER (WHERE finished_at IS NULL) AS going_on, "
            "count(*) FILTER (WHERE id = ANY(%s)) AS there FROM runs.pipeline_runs",
            list(promised),
        )
        return row["going_on"] == 0 and row["there"] == len(promised) and missing["count"] == 0

    try:
        await eventually(all_ended, "the end of all runs", timeout_s=PEACE_S)
    except AssertionError:
        return
