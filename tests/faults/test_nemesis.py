"""The short form of `make faults`: one trial with faults of every sort, from a seed that is printed."""

from __future__ import annotations

from tests.faults.catalogue import FAULTS, SHORT
from tests.faults.report import as_text
from tests.faults.system import System
from tests.faults.trial import seed_of_faults, try_out


async def test_no_promise_is_broken_under_faults(faulty: System) -> None:
    faults = {name: FAULTS[name] for name in SHORT}

    trial = await try_out(faulty, seed_of_faults(), seconds=20, rate=8, calm_s=0.7, faults=faults)

    report = as_text(trial)
    print(report)
    assert not trial.broken(), report
    assert set(trial.faults) == set(SHORT)
