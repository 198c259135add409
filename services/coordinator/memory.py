"""Runs as this coordinator wrote them last, so that most results are settled without reading anything first.

Postgres alone is the truth: what is decided from here is written only if the run's `event_seq` is still the one that is
remembered, and every transaction that changes a run raises that; sends and leases do not, and decide nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import takewhile
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
        kept = _copy(run)
        kept.queued = {kind: list(keys) for kind, keys in run.queued.items()}
        kept.nodes = {key: node.copy() for key, node in run.nodes.items()}
        for keys in run.queued.values():
            for key in keys:
                kept.nodes[key] = node = _untouched(run.graph, key)
                node.is_waiting_for_room = True
        self._runs.put(run.id, kept, len(run.graph.nodes))

    def settle(self, outcomes: Sequence[Outcome], window_of: WindowOf, random: Random) -> Decision | None:
        """What these outcomes change, if the runs are as remembered.

        None when it must be read: a run is not remembered, or one of the outcomes would change nothing.
        """
        runs = self.copies({outcome.run_id for outcome in outcomes})
        if runs is None:
            return None
        decision = settle(runs, outcomes, window_of, random)
        return None if decision.ignored else decision

    def copies(self, run_ids: Iterable[RunId]) -> dict[RunId, RunState] | None:
        """These runs, to decide on; None when one of them is not remembered."""
        found: dict[RunId, RunState] = {}
        for run_id in run_ids:
            kept = self._runs.get(run_id)
            if kept is None:
                return None
            found[run_id] = _copy(kept)
            found[run_id].nodes = NodeCopies(kept)
            found[run_id].queued = kept.queued
        return found

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
                # It is not changed any more: whoever decides has copies.
                kept.nodes[key] = change.node
        for (run_id, node_type), keys in decision.queued.items():
            if (kept := followed.get(run_id)) is not None:
                kept.queued.setdefault(node_type, []).extend(keys)

    def forget(self, run_ids: Iterable[RunId]) -> None:
        """They are changed by something else."""
        for run_id in run_ids:
            self._runs.drop(run_id)

    def doubt(self) -> None:
        """What was remembered of some run was wrong."""
        self._runs.clear()
        self._doubts_until = time.monotonic() + DOUBT_S


class NodeCopies(dict[str, NodeState]):
    """The nodes of a run that is remembered, each copied when it is asked for."""

    def __init__(self, kept: RunState) -> None:
        super().__init__()
        self._kept = kept

    def __missing__(self, key: str) -> NodeState:
        node = self._kept.nodes.get(key)
        self[key] = copied = node.copy() if node is not None else _untouched(self._kept.graph, key)
        return copied


def _copy(run: RunState) -> RunState:
    """Without its nodes and what waits; nothing of it is shared with what may change."""
    lanes = {kind: Lane(lane.running, lane.waiting) for kind, lane in run.lanes.items() if lane.running or lane.waiting}
    return RunState(run.id, run.graph, run.status, run.unfinished, run.seq, lanes)


def _untouched(graph: Graph, key: str) -> NodeState:
    """A node as `insert_runs` makes it."""
    return NodeState(key, graph.nodes[key].type, NodeStatus.PENDING, 0, 0, len(graph.incoming[key]), 0)


def _follow(kept: RunState, run: RunState) -> None:
    kept.unfinished, kept.seq, kept.lanes = run.unfinished, run.seq, run.lanes
    for keys in kept.queued.values():
        # Whoever waited longest has left first.
        del keys[: sum(1 for _ in takewhile(partial(_has_left, run), keys))]


def _has_left(run: RunState, key: str) -> bool:
    return key in run.nodes and run.nodes[key].status is not NodeStatus.PENDING
