"""Metrics that every service has, in the one registry of the process; `/metrics` on its health port shows them.

Labels have few values: types, states and codes, never ids or names that users choose freely.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

#: Seconds, for what is done within a service.
FINE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
#: Seconds, for work, and whole runs of it.
COARSE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

LOOP_LAG = Histogram(
    "pipewright_loop_lag_seconds", "How much later than asked for the event loop came round", buckets=FINE_BUCKETS
)
TASKS = Gauge("pipewright_tasks", "Tasks of the event loop")
CONNECTIONS = Gauge("pipewright_database_connections", "Connections to Postgres", ["state"])
CONNECTIONS_WAITING = Gauge("pipewright_database_waiting", "Requests that wait for a connection to Postgres")
DEAD_LETTERS = Counter("pipewright_dead_letters", "Messages that nobody could read, and that were parked", ["kind"])


class Observations:
    """How often, and how much; one series of a `HotHistogram`."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Each upper bound with the number of values that are not above it."""
        found: list[tuple[str, float]] = []
        below = 0
        for bound, count in zip((*self._bounds, float("inf")), self.counts, strict=True):
            below += count
            found.append(("+Inf" if bound == float("inf") else str(float(bound)), below))
        return found


class HotHistogram(Collector):
    """A histogram for what happens once a node or run, at a fifth of what prometheus_client's own costs: it has no
    lock, so that only the event loop may observe."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._labelnames = labels
        self._buckets = buckets
        self._series: dict[tuple[str, ...], Observations] = {}
        REGISTRY.register(self)

    def labels(self, *values: str) -> Observations:
        series = self._series.get(values)
        if series is None:
            series = self._series[values] = Observations(self._buckets)
        return series

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labelnames)
        for values, series in self._series.items():
            family.add_metric(values, series.cumulated(), series.total)
        yield family


class Capped:
    """Label values that others choose: the first `most` keep their names, all later ones are `other`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        if value not in self._known:
            if len(self._known) >= self._most:
                return "other"
            self._known.add(value)
        return value


def count_loop(late_s: float) -> None:
    """Called by the event loop, with how late it came round."""
    LOOP_LAG.observe(max(0.0, late_s))
    TASKS.set(len(asyncio.all_tasks()))


def watch_pool(get_stats: Callable[[], Mapping[str, int]]) -> None:
    """The figures of a pool of psycopg_pool are read when they are asked for."""

    def stat(name: str) -> float:
        return get_stats().get(name, 0)

    CONNECTIONS.labels("idle").set_function(lambda: stat("pool_available"))
    CONNECTIONS.labels("used").set_function(lambda: stat("pool_size") - stat("pool_available"))
    CONNECTIONS_WAITING.set_function(lambda: stat("requests_waiting"))
