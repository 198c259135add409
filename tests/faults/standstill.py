"""How long runs stood still while nothing was wrong: the figure behind "no stuck run"."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tests.faults.load import Started
from tests.faults.system import System

#: (begin, end) of a fault, by the clock of the database.
Period = tuple[datetime, datetime]


@dataclass(frozen=True)
class Standstills:
    """For each promised run its longest time without a change, less the faults in it; sorted, in seconds."""

    of_all: list[float]
    #: Of those alone whose standstill a fault began, or fell into: how long they took to go on.
    over_faults: list[float]


async def standstills(
    system: System, started: Sequence[Started], faults: Sequence[Period], until: datetime
) -> Standstills:
    """From the moment when a run was promised to its end, or until now while it has not ended."""
    rows = await system.query(
        "SELECT run_id, array_agg(at ORDER BY id) AS times, "
        "bool_or(node_key IS NULL AND status = ANY(%s)) AS has_ended "
        "FROM witness.changes GROUP BY run_id",
        ["completed", "failed", "cancelled"],
    )
    changes = {str(row["run_id"]): row for row in rows}
    of_all, over_faults = [], []
    for one in started:
        if one.acknowledged_at is None:
            continue
        row = changes.get(str(one.run_id), {"times": [], "has_ended": False})
        moments = sorted([moment_of(one.acknowledged_at), *row["times"], *([] if row["has_ended"] else [until])])
        gaps = [(calm(begin, end, faults), begin, end) for begin, end in pairwise(moments)]
        longest_s, begin, end = max(gaps, default=(0.0, until, until))
        of_all.append(longest_s)
        if any(begin <= fault_end and fault_begin <= end for fault_begin, fault_end in faults):
            over_faults.append(longest_s)
    return Standstills(sorted(of_all), sorted(over_faults))


def calm(begin: datetime, end: datetime, faults: Sequence[Period]) -> float:
    """How much of this time no fault was going on, in seconds: all its pieces together."""
    total, at = 0.0, begin
    for fault_begin, fault_end in sorted(faults):
        if fault_end <= at or fault_begin >= end:
            continue
        total += max(0.0, (fault_begin - at).total_seconds())
        at = fault_end
    return total + max(0.0, (end - at).total_seconds())


def moment_of(monotonic_s: float) -> datetime:
    """A moment of this process's monotonic clock, by the clock of the database."""
    return now() - timedelta(seconds=time.monotonic() - monotonic_s)


def now() -> datetime:
    """The clock of this machine, which is the database's too."""
    return datetime.now(UTC)
