"""Which ready nodes may go out now: pure. A window a run and node type keeps runs fair to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from services.coordinator.decision import Decision
from services.coordinator.graph import Graph
from services.coordinator.state import Lane, NodeState, RunId, RunState
from shared.contracts.states import NodeStatus, RunStatus


def release(decision: Decision, run: RunState, ready: Iterable[NodeState], window_of: Callable[[str], int]) -> None:
    """Send out what has waited longest, then what is newly ready, while there is room; the rest waits."""
    for node_type, keys in run.queued.items():
        lane = run.lanes.setdefault(node_type, Lane())
        room = window_of(node_type) - lane.running
        for key in keys[: max(0, room)]:
            node = run.nodes[key]
            if node.is_waiting_for_room:
                lane.waiting -= 1
                _send(decision, run, node, lane)
    for node in ready:
        lane = run.lanes.setdefault(node.node_type, Lane())
        if lane.waiting > 0 or lane.running >= window_of(node.node_type):
            decision.touch(run, node)
            node.is_waiting_for_room = True
            node.is_waiting_for_retry = False
            lane.waiting += 1
            decision.queued.setdefault((run.id, node.node_type), []).append(node.key)
        else:
            _send(decision, run, node, lane)


def _send(decision: Decision, run: RunState, node: NodeState, lane: Lane) -> None:
    """A new attempt begins; a node that waited for room or for its retry waits no more."""
    decision.touch(run, node)
    node.status = NodeStatus.RUNNING
    node.attempt += 1
    node.dispatch = 1
    node.is_waiting_for_room = False
    node.is_waiting_for_retry = False
    lane.running += 1
    decision.released.append((run, node))


def held(run_id: RunId, graph: Graph) -> RunState:
    """A new run of which nothing is out until somebody starts it."""
    return RunState(run_id, graph, RunStatus.PENDING, unfinished=len(graph.nodes), seq=1, lanes={})


def first_release(run_id: RunId, graph: Graph, window_of: Callable[[str], int]) -> RunState:
    """A new run: `nodes` holds what is out, the first nodes that wait for nothing as far as there is room; `queued`
    the others."""
    run = RunState(
        id=run_id,
        graph=graph,
        status=RunStatus.RUNNING if graph.nodes else RunStatus.COMPLETED,
        unfinished=len(graph.nodes),
        seq=1,
        lanes={},
    )
    for key in graph.roots:
        node_type = graph.nodes[key].type
        lane = run.lanes.setdefault(node_type, Lane())
        if lane.running < window_of(node_type):
            lane.running += 1
            run.nodes[key] = NodeState(key, node_type, NodeStatus.RUNNING, 1, 1, 0, 0)
        else:
            lane.waiting += 1
            run.queued.setdefault(node_type, []).append(key)
    return run
