"""What a retry keeps of the run that it repeats; pure."""

from __future__ import annotations

from collections.abc import Mapping

from services.coordinator.graph import Graph, in_order, is_live
from shared.contracts.states import NodeStatus


def kept_nodes(graph: Graph, statuses: Mapping[str, NodeStatus], chosen: Mapping[str, str | None]) -> list[str]:
    """The nodes that need not run again: completed, or skipped for good, with nothing above them that runs again.

    `chosen` holds the branches that completed nodes took. A node that its run's end alone skipped runs again.
    """
    kept: set[str] = set()
    for key in in_order(graph):
        incoming = graph.incoming[key]
        if any(edge.source not in kept for edge in incoming):
            continue
        is_reached = not incoming or any(
            is_live(edge, statuses[edge.source], chosen.get(edge.source), graph.has_error_edge(edge.source))
            for edge in incoming
        )
        if statuses[key] is (NodeStatus.COMPLETED if is_reached else NodeStatus.SKIPPED):
            kept.add(key)
    return [key for key in graph.nodes if key in kept]
