"""Makes the counters of a run anew from how its nodes ended: pure; for runs that have nothing in flight."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.coordinator.decision import Decision
from services.coordinator.graph import in_order, is_live
from services.coordinator.release import release
from services.coordinator.state import Lane, NodeState, RunState
from shared.contracts.states import NodeStatus, RunStatus


def repair(
    decision: Decision, run: RunState, chosen: Mapping[str, str | None], window_of: Callable[[str], int]
) -> None:
    """Count every pending node's edges again, skip or release what is ready, end the run if nothing is left.

    `run` holds all its nodes; `chosen` the branches that completed nodes took.
    """
    run.lanes = _lanes(run)
    run.unfinished = sum(not node.status.is_final for node in run.nodes.values())
    ready: list[NodeState] = []
    for key in in_order(run.graph):
        node = run.nodes[key]
        if node.status is NodeStatus.PENDING and not node.is_waiting_for_retry:
            decision.touch(run, node)
            _count(run, node, chosen)
            if node.waiting_for == 0:
                if node.live or not run.graph.incoming[key]:
                    ready.append(node)
                else:
                    node.status = NodeStatus.SKIPPED
                    run.unfinished -= 1
    decision.runs[run.id] = run
    release(decision, run, ready, window_of)
    if run.unfinished == 0:
        decision.end(run, RunStatus.COMPLETED)


def _lanes(run: RunState) -> dict[str, Lane]:
    """What is out: something may be, since another coordinator may have repaired the run a moment ago."""
    lanes: dict[str, Lane] = {}
    for node in run.nodes.values():
        if node.status is NodeStatus.RUNNING:
            lanes.setdefault(node.node_type, Lane()).running += 1
    return lanes


def _count(run: RunState, node: NodeState, chosen: Mapping[str, str | None]) -> None:
    node.waiting_for = node.live = 0
    node.is_waiting_for_room = False
    for edge in run.graph.incoming[node.key]:
        source = run.nodes[edge.source]
        if not source.status.is_final:
            node.waiting_for += 1
        elif is_live(edge, source.status, chosen.get(edge.source), run.graph.has_error_edge(edge.source)):
            node.live += 1
