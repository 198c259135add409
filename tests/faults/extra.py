"""Executions beyond what workers told of: each must be explained by a fault that could lose what it had done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

#: What had waited in a frozen process, or in a pipe, is begun when that is over; by then others have it too.
AWAKE = timedelta(seconds=2)


@dataclass(frozen=True)
class Extra:
    """An execution too many of a node, which was executed first and last at these times."""

    name: str
    first: datetime
    last: datetime

    def __str__(self) -> str:
        return f"{self.name}: executed again between {self.first:%H:%M:%S.%f} and {self.last:%H:%M:%S.%f}"


@dataclass(frozen=True)
class Done:
    """A fault that was done, and how many executions it may cause: what was in flight in what it hit."""

    name: str
    begin: datetime
    end: datetime
    most_extra: int = 0


def explain(extras: Sequence[Extra], done: Sequence[Done]) -> tuple[Counter[str], list[Extra]]:
    """How many go back to each kind of fault, and which to none.

    A fault explains an execution if it went on between the first and the last one of that node, or was over just before
    the first, and no more of them than were in flight in what it hit. Where several can, it is the latest.
    """
    room = {id(fault): fault.most_extra for fault in done}
    by_fault: Counter[str] = Counter()
    unexplained = []
    for extra in sorted(extras, key=lambda one: (one.last, one.first)):
        able = [
            fault
            for fault in done
            if room[id(fault)] > 0 and fault.begin <= extra.last and extra.first <= fault.end + AWAKE
        ]  # fmt: skip
        if not able:
            unexplained.append(extra)
            continue
        cause = max(able, key=lambda fault: fault.begin)
        room[id(cause)] -= 1
        by_fault[cause.name] += 1
    return by_fault, unexplained
