"""The rows of one run in memory, in place of Postgres: it refuses what Postgres would, and checks what must hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.coordinator.decision import Decision
from services.coordinator.graph import Graph
from services.coordinator.release import first_release
from services.coordinator.state import Lane, NodeState, RunState
from services.coordinator.versions import node_rows
from shared.contracts.states import NodeStatus, RunStatus
from tests.unit.coordinator.building import RUN_ID


class Database:
    """What is committed. `load` gives copies of a slice, and `save` is a commit."""

    def __init__(self, graph: Graph, windows: Mapping[str, int]) -> None:
        self.graph, self.windows = graph, windows
        self.seq = 1
        self.finished: Counter[str] = Counter()
        self.attempts: list[tuple[str, int]] = []
        self.arrows: set[tuple[NodeStatus, NodeStatus]] = set()
        started = first_release(RUN_ID, graph, self.window_of)
        self.status, self.unfinished, self.lanes = started.status, started.unfinished, started.lanes
        self.nodes = {
            row["node_key"]: NodeState(
                row["node_key"], row["node_type"], NodeStatus.PENDING, 0, 0, row["waiting_for"], 0
            )
            for row in node_rows(graph)
        }
        #: Everything that ever waited for room; of each queue the last ones, as many as its lane says, wait still.
        self.queues = {kind: list(keys) for kind, keys in started.queued.items()}
        self.nodes.update({key: replace(node) for key, node in started.nodes.items()})
        self.check()

    def window_of(self, node_type: str) -> int:
        return self.windows[node_type]

    @property
    def running(self) -> list[NodeState]:
        return [replace(node) for node in self.nodes.values() if node.status is NodeStatus.RUNNING]

    @property
    def ready(self) -> list[str]:
        """The nodes that wait for room, the longest of each type first."""
        return [key for kind in self.lanes for key in self._waiting(kind)]

    def _waiting(self, kind: str) -> list[str]:
        count = self.lanes[kind].waiting if kind in self.lanes else 0
        return self.queues.get(kind, [])[-count:] if count else []

    @property
    def due(self) -> list[str]:
        """The nodes that wait for their next attempt."""
        return [key for key, node in self.nodes.items() if node.is_waiting_for_retry]

    def load(self, keys: Iterable[str], freed: Mapping[str, int]) -> RunState:
        """Copies of the slice alone: deciding gets nothing else."""
        lanes = {kind: replace(lane) for kind, lane in self.lanes.items()}
        run = RunState(RUN_ID, self.graph, self.status, self.unfinished, self.seq, lanes)
        queued = {kind: self._waiting(kind)[:most] for kind, most in freed.items()}
        run.nodes = {key: replace(self.nodes[key]) for key in keys}
        for key in (key for names in queued.values() for key in names):
            # How many of its edges are live has been decided, and is not kept.
            run.nodes[key] = replace(self.nodes[key], waiting_for=0, is_waiting_for_room=True)
        run.queued = {kind: names for kind, names in queued.items() if names}
        return run

    def save(self, run: RunState, decision: Decision) -> None:
        """All of it, or an AssertionError."""
        for (_, key), change in decision.changes.items():
            before = self.nodes[key]
            assert change.left is before.status, f"{key} is {before.status}, not {change.left}"
            assert not before.status.is_final, f"{key} is {before.status} for ever"
            self._note(key, before.status, change.node.status)
            if not (change.node.is_waiting_for_room and change.node.attempt == 0):
                self.nodes[key] = replace(change.node, is_waiting_for_room=False)
        for (_, kind), keys in decision.queued.items():
            self.queues.setdefault(kind, []).extend(keys)
        self.attempts += [(tried.node_key, tried.attempt) for tried in decision.attempts]
        if decision.runs:
            assert self.status is RunStatus.RUNNING, f"the run is {self.status} for ever"
            assert run.seq == self.seq, "the run was changed since it was read"
            run.seq += 1
            self.seq = run.seq
            self.status, self.unfinished = run.status, run.unfinished
            self.lanes = {kind: lane for kind, lane in run.lanes.items() if lane.running or lane.waiting}
        for _, node in decision.released:
            self._check_release(node)
        if self.status.is_final and self.unfinished:
            self._close()
        self.check()

    def cancel(self) -> None:
        """What an operator's cancel commits; a run that is over stays as it is."""
        if self.status is RunStatus.RUNNING:
            self.seq += 1
            self.status = RunStatus.CANCELLED
            self._close()

    def raise_dispatch(self, key: str) -> NodeState:
        """What `send_again` commits."""
        node = self.nodes[key]
        assert node.status is NodeStatus.RUNNING
        node.dispatch += 1
        return replace(node)

    def _note(self, key: str, left: NodeStatus, status: NodeStatus) -> None:
        if left is not status:
            self.arrows.add((left, status))
        self.finished[key] += status.is_final

    def _close(self) -> None:
        """What `close_nodes` does when a run ends before its nodes."""
        for node in self.nodes.values():
            if not node.status.is_final:
                was_running = node.status is NodeStatus.RUNNING
                node.status = NodeStatus.CANCELLED if was_running else NodeStatus.SKIPPED
                node.is_waiting_for_retry = False
                self.finished[node.key] += 1
        self.lanes = {}

    # What must hold after every commit

    def _check_release(self, node: NodeState) -> None:
        for edge in self.graph.incoming[node.key]:
            assert self.nodes[edge.source].status.is_final, f"{node.key} began before {edge.source} ended"
        assert node.attempt <= self.graph.nodes[node.key].retry.max_attempts, f"{node.key} was tried too often"

    def check(self) -> None:
        lanes: dict[str, Lane] = {}
        ready = self.ready
        assert len(ready) == len(set(ready)), "a node waits twice for room"
        for node in self.nodes.values():
            assert node.waiting_for >= 0, f"{node.key} waits for {node.waiting_for}"
            assert node.live >= 0
            lane = lanes.setdefault(node.node_type, Lane())
            lane.running += node.status is NodeStatus.RUNNING
            lane.waiting += self._is_ready(node)
            assert self._is_ready(node) == (node.key in ready), f"{node.key} waits for room, or does not"
            assert lane.running <= self.window_of(node.node_type), f"too many {node.node_type} are out"
        assert self.lanes == {kind: lane for kind, lane in lanes.items() if lane.running or lane.waiting}
        assert len(self.attempts) == len(set(self.attempts)), "an attempt was recorded twice"
        assert all(count <= 1 for count in self.finished.values()), "a node ended twice"
        if self.status is RunStatus.RUNNING or self.status is RunStatus.COMPLETED:
            assert self.unfinished == sum(not node.status.is_final for node in self.nodes.values())

    def _is_ready(self, node: NodeState) -> bool:
        """From the states of its parents alone: it could be out."""
        if node.status is not NodeStatus.PENDING or node.is_waiting_for_retry:
            return False
        return all(self.nodes[edge.source].status.is_final for edge in self.graph.incoming[node.key])
