"""How long runs stood still while nothing was wrong: the figure behind "no stuck run"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from tests.faults.system import System

#: (begin, end) of a fault, by the clock of the database.
Period = tuple[datetime, datetime]


async def standstills(system: System, faults: Sequence[Period], until: datetime) -> list[float]:
    """For each run, the longest time in seconds without a change and without a fault, while it had not ended."""
    rows = await system.query(
        "SELECT run_id, array_agg(at ORDER BY id) AS times, "
        "bool_or(node_key IS NULL AND status = ANY(%s)) AS has_ended "
        "FROM witness.changes GROUP BY run_id",
        ["completed", "failed", "cancelled"],
    )
    found = []
    for row in rows:
        times = [*row["times"]] if row["has_ended"] else [*row["times"], until]
        gaps = pairwise(times)
        found.append(max((longest_calm(begin, end, faults) for begin, end in gaps), default=0.0))
    return sorted(found)


def longest_calm(begin: datetime, end: datetime, faults: Sequence[Period]) -> float:
    """The longest part of this time in which no fault was going on, in seconds."""
    longest, at = 0.0, begin
    for fault_begin, fault_end in sorted(faults):
        if fault_end <= at or fault_begin >= end:
            continue
        longest = max(longest, (fault_begin - at).total_seconds())
        at = fault_end
    return max(longest, (end - at).total_seconds())


def now() -> datetime:
    """The clock of this machine, which is the database's too."""
    return datetime.now(UTC)
