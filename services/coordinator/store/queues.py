"""The queues of nodes that wait for room, as rows that are written once (see migrations/0006_queues.sql)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.coordinator.decision import LaneRef

#: Nodes in one row, as its check says; `load_queued` counts on it.
MOST_IN_PART = 500


def queue_parts(queued: Mapping[LaneRef, Sequence[str]]) -> list[dict[str, Any]]:
    """Of node keys in the order in which they wait; places count from the first of each queue."""
    return [
        {"run_id": run_id, "node_type": node_type, "place": place, "node_keys": keys[place : place + MOST_IN_PART]}
        for (run_id, node_type), keys in queued.items()
        for place in range(0, len(keys), MOST_IN_PART)
    ]
