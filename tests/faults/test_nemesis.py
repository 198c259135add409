"""The short form of `make faults`: one trial with faults of every sort, from a seed that is printed."""

from __future__ import annotations

from tests.faults.nemesis import FAULTS
from tests.faults.report import as_text
from tests.faults.system import System
from tests.faults.trial import seed_of_faults, try_out

#: Those that last a moment; the others are for the long form.
SHORT = (
    "service killed", "service stopped", "NATS wiped", "stream deleted", "consumer deleted", "NATS connections cut",
    "Postgres connections cut", "connection cut in a commit", "junk sent", "results repeated",
)  # fmt: skip
#: A run goes on within so long of the end of a fault.
MOST_STANDSTILL_S = 30.0


async def test_no_promise_is_broken_under_faults(faulty: System) -> None:
    faults = {name: FAULTS[name] for name in SHORT}

    trial = await try_out(faulty, seed_of_faults(), seconds=20, rate=8, calm_s=0.7, faults=faults)

    report = as_text(trial)
    print(report)
    assert not trial.findings.broken(), report
    assert trial.findings.extra <= trial.most_extra, report
    assert trial.standstills[-1] <= MOST_STANDSTILL_S, report
