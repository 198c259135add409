"""What processes use, read from /proc: CPU seconds and memory, ours by name and everybody else's as a sum."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of all that it has started; 0 when it is gone."""
    return sum(_cpu(member) for member in family_of(pid))


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    utime, stime = int(fields[11]), int(fields[12])
    return (utime + stime) / TICKS


def family_of(pid: int) -> list[int]:
    members = [pid]
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return members
    for child in children:
        members += family_of(int(child))
    return members


def pss_mb(pid: int) -> float:
    """Proportional memory of a process and its children, in MB: shared pages are divided by who shares them."""
    total_kb = 0
    for member in family_of(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total_kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb / 1024


def _cpu_of_all() -> dict[int, float]:
    """CPU seconds of every process; /proc/stat itself counts by ticks and misses what runs between them."""
    return {int(path.name): _cpu(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()}


@dataclass
class Usage:
    """CPU between two moments, by process name; `client` is this process, `others` are all that have no name."""

    pids: dict[str, int]
    began_at: float = field(default_factory=time.monotonic)
    wall_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    client_s: float = 0.0
    others_s: float = 0.0

    def __enter__(self) -> Usage:
        self._before = self._read()
        self._all_before = _cpu_of_all()
        self.began_at = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s = time.monotonic() - self.began_at
        after, all_after = self._read(), _cpu_of_all()
        self.cpu_s = {name: round(after[name] - self._before[name], 3) for name in after}
        self.client_s = round(all_after[os.getpid()] - self._all_before[os.getpid()], 3)
        everything = sum(cpu - self._all_before.get(pid, 0.0) for pid, cpu in all_after.items())
        self.others_s = round(max(0.0, everything - sum(self.cpu_s.values()) - self.client_s), 3)

    def _read(self) -> Counter[str]:
        return Counter({name: cpu_of(pid) for name, pid in self.pids.items()})

    @property
    def others_percent(self) -> float:
        """Of one core."""
        return round(100 * self.others_s / self.wall_s, 1) if self.wall_s else 0.0
