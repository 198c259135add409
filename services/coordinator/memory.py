"""Runs as this coordinator wrote them last, so that most results are settled without reading anything first.

Postgres alone is the truth: what is decided from here is written only if the run's `event_seq` is still the one that is
remembered, and every transaction that changes a run raises that; sends and leases do not, and decide nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from random import Random

from services.coordinator.decision import Decision
from services.coordinator.graph import Graph
from services.coordinator.recent import Recent
from services.coordinator.state import Lane, NodeState, Outcome, RunId, RunState
from services.coordinator.transitions import WindowOf, settle
from shared.contracts.states import NodeStatus

RUNS_KEPT = 20_000
#: Of all runs together, about 30 MB.
NODES_KEPT = 100_000
#: When another coordinator settles the same runs, remembering them is in vain; it is tried again after so long.
DOUBT_S = 10.0


class RunMemory:
    """Of runs that began here, and no others: of these every node is known, since the rest are as they were made."""

    def __init__(self) -> None:
        #: The nodes of each that are no longer as they were made, and all that wait for room.
        self._runs: Recent[RunId, RunState] = Recent(RUNS_KEPT, NODES_KEPT)
        self._doubts_until = 0.0

    def begin(self, run: RunState) -> None:
        """A run that was made here, with what it released at once and what waits for room."""
        if time.monotonic() < self._doubts_until:
            return
        kept = _copy(run, run.queued)
        kept.nodes = {key: node.copy() for key, node in run.nodes.items()}
        for keys in run.queued.values():
            for key in keys:
                kept.nodes[key] = node = _untouched(run.graph, key)
                node.is_waiting_for_room = True
        self._runs.put(run.id, kept, len(run.graph.nodes))

    def settle(
        self,
        outcomes: Sequence[Outcome],
        keys: Mapping[RunId, Iterable[str]],
        freed: Mapping[tuple[RunId, str], int],
        window_of: WindowOf,
        random: Random,
    ) -> Decision | None:
        """What these outcomes change, if the runs are as remembered; `keys` and `freed` are what would be loaded.

        None when it must be read: a run is not remembered, or one of the outcomes would change nothing.
        """
        runs = self.slices(keys, freed)
        if runs is None:
            return None
        decision = settle(runs, outcomes, window_of, random)
        return None if decision.ignored else decision

    def slices(
        self, keys: Mapping[RunId, Iterable[str]], freed: Mapping[tuple[RunId, str], int]
    ) -> dict[RunId, RunState] | None:
        """What `load_slice` would find, as copies; None when one of the runs is not remembered."""
        kept: dict[RunId, RunState] = {}
        for run_id in keys:
            run = self._runs.get(run_id)
            if run is None:
                return None
            kept[run_id] = run
        queued: dict[RunId, dict[str, list[str]]] = {run_id: {} for run_id in keys}
        for (run_id, node_type), most in freed.items():
            if waiting := kept[run_id].queued.get(node_type):
                queued[run_id][node_type] = waiting[:most]
        return {run_id: _slice(kept[run_id], names, queued[run_id]) for run_id, names in keys.items()}

    def keep(self, decision: Decision) -> None:
        """It was committed."""
        followed: dict[RunId, RunState] = {}
        for run in decision.runs.values():
            kept = self._runs.get(run.id)
            if kept is None:
                continue
            if run.status.is_final or run.seq != kept.seq + 1:
                self._runs.drop(run.id)
            else:
                _follow(kept, run)
                followed[run.id] = kept
        for (run_id, key), change in decision.changes.items():
            if (kept := followed.get(run_id)) is not None:
                _put(kept, key, change.node)

    def forget(self, run_ids: Iterable[RunId]) -> None:
        """They are changed by something else."""
        for run_id in run_ids:
            self._runs.drop(run_id)

    def doubt(self) -> None:
        """What was remembered of some run was wrong."""
        self._runs.clear()
        self._doubts_until = time.monotonic() + DOUBT_S


def _slice(kept: RunState, keys: Iterable[str], queued: Mapping[str, list[str]]) -> RunState:
    run = _copy(kept, queued)
    for wanted in (keys, *queued.values()):
        for key in wanted:
            node = kept.nodes.get(key)
            run.nodes[key] = node.copy() if node is not None else _untouched(kept.graph, key)
    return run


def _copy(run: RunState, queued: Mapping[str, list[str]]) -> RunState:
    """Without its nodes; nothing of it is shared with what may change."""
    lanes = {kind: Lane(lane.running, lane.waiting) for kind, lane in run.lanes.items() if lane.running or lane.waiting}
    waiting = {kind: list(keys) for kind, keys in queued.items()}
    return RunState(run.id, run.graph, run.status, run.unfinished, run.seq, lanes, queued=waiting)


def _untouched(graph: Graph, key: str) -> NodeState:
    """A node as `insert_runs` makes it."""
    return NodeState(key, graph.nodes[key].type, NodeStatus.PENDING, 0, 0, len(graph.incoming[key]), 0)


def _follow(kept: RunState, run: RunState) -> None:
    kept.unfinished, kept.seq, kept.lanes = run.unfinished, run.seq, run.lanes
    for kind, keys in run.queued.items():
        # Whoever waited longest has left first.
        del kept.queued[kind][: sum(not run.nodes[key].is_waiting_for_room for key in keys)]


def _put(kept: RunState, key: str, node: NodeState) -> None:
    """It is not changed any more: slices are copies."""
    before = kept.nodes.get(key)
    if node.is_waiting_for_room and (before is None or not before.is_waiting_for_room):
        kept.queued.setdefault(node.node_type, []).append(key)
    kept.nodes[key] = node
