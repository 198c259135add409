"""What a worker counts of its node types."""

from __future__ import annotations

import time

from prometheus_client import Gauge

from shared.bus.pull import Delivery
from shared.metrics import COARSE_BUCKETS, HotHistogram

NODE_SECONDS = HotHistogram(
    "pipewright_node_seconds", "One attempt, from its start to its end", ["node_type", "outcome"], COARSE_BUCKETS
)
QUEUE_SECONDS = HotHistogram(
    "pipewright_queue_seconds",
    "From the moment that work was sent out to the moment that a worker took it",
    ["node_type"],
    COARSE_BUCKETS,
)
SLOTS = Gauge("pipewright_slots", "Pieces of work that the worker does at the same time", ["node_type"])
SLOTS_USED = Gauge("pipewright_slots_used", "Pieces of work that the worker has now", ["node_type"])


class NodeMetrics:
    """Those of one node type; a look-up of labels would cost as much as the counting."""

    def __init__(self, node_type: str) -> None:
        self._seconds = {
            outcome: NODE_SECONDS.labels(node_type, outcome)
            for outcome in ("completed", "failed", "timed_out", "worker_died")
        }
        self._queue = QUEUE_SECONDS.labels(node_type)

    def taken(self, delivery: Delivery) -> None:
        """Not when it was delivered before: it waited for the worker that had it."""
        if delivery.times == 1:
            self._queue.observe(max(0.0, (time.time_ns() - delivery.sent_at_ns) / 1e9))

    def done(self, outcome: str, seconds: float) -> None:
        self._seconds[outcome].observe(max(0.0, seconds))
