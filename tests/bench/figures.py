"""Figures with their targets, as a table for people and as lines for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from math import sqrt
from statistics import quantiles
from typing import Any, Literal

import orjson
from rich.console import Console
from rich.table import Table

#: The echo rate of the machine on which the absolute targets were set.
REFERENCE_ECHO_PER_S = 31_000
#: From here on a machine counts as quiet, and absolute targets hold as they are.
QUIET_ECHO_PER_S = 25_000


@dataclass(frozen=True)
class Floor:
    """What NATS and Postgres alone gave: round trips a second, and the p50 of one alone and of a commit."""

    echo_per_s: float
    echo_ms: float
    commit_ms: float

    @property
    def hop_ms(self) -> float:
        """What a hop cannot do without."""
        return self.echo_ms + self.commit_ms

    def mean(self, other: Floor) -> Floor:
        """The geometric one."""
        return Floor(
            sqrt(self.echo_per_s * other.echo_per_s),
            sqrt(self.echo_ms * other.echo_ms),
            sqrt(self.commit_ms * other.commit_ms),
        )

    def figures(self) -> list[Figure]:
        return [
            Figure("floor", "echo", self.echo_per_s, "/s"),
            Figure("floor", "echo alone, p50", self.echo_ms, "ms"),
            Figure("floor", "commit, p50", self.commit_ms, "ms"),
        ]


@dataclass
class Figure:
    workload: str
    name: str
    value: float
    unit: str
    #: The most it must be, or the least where more is better; None where there is no target.
    must: float | None = None
    aim: float | None = None
    more_is_better: bool = False
    #: The part of the floor that it is told as a ratio to.
    of_floor: Literal["hop_ms", "echo_per_s"] | None = None
    ratio: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def on(self, floor: Floor) -> Figure:
        """As a ratio to the floor where it is one; else, on a busy machine, with absolute targets in seconds and rates
        stretched by what the echo lost."""
        if self.of_floor is not None:
            ratio = self.value / getattr(floor, self.of_floor)
            return replace(self, value=100 * ratio if self.unit == "%" else ratio, ratio=ratio)
        if self.must is None or floor.echo_per_s >= QUIET_ECHO_PER_S or self.unit not in ("s", "ms", "/s"):
            return self
        factor = REFERENCE_ECHO_PER_S / floor.echo_per_s
        if self.more_is_better:
            factor = 1 / factor
        aim = self.aim * factor if self.aim is not None else None
        return replace(self, must=self.must * factor, aim=aim)

    @property
    def verdict(self) -> str:
        if self.must is None:
            return ""
        if self.aim is not None and self._meets(self.aim):
            return "aim"
        return "must" if self._meets(self.must) else "MISSED"

    def _meets(self, target: float) -> bool:
        return self.value >= target if self.more_is_better else self.value <= target


def percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


def print_figures(console: Console, figures: list[Figure]) -> None:
    table = Table("", "figure", "value", "must", "aim", "verdict", "ratio to floor", "detail", box=None)
    for figure in figures:
        table.add_row(
            figure.workload,
            figure.name,
            f"{figure.value:,.3g} {figure.unit}" if figure.value < 100 else f"{figure.value:,.0f} {figure.unit}",
            _target(figure, figure.must),
            _target(figure, figure.aim),
            figure.verdict,
            f"{figure.ratio:.2f}" if figure.ratio is not None else "",
            "  ".join(f"{name} {value}" for name, value in figure.detail.items()),
        )
    console.print(table)


def _target(figure: Figure, value: float | None) -> str:
    if value is None:
        return ""
    return f"{'>=' if figure.more_is_better else '<='} {value:,.3g}"


def as_lines(figures: list[Figure]) -> str:
    return "".join(orjson.dumps({**asdict(figure), "verdict": figure.verdict}).decode() + "\n" for figure in figures)
