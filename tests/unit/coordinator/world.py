"""A small world around the pure core: a database in memory, workers, and a bus that repeats, reorders and loses.

It checks at every step what Postgres would refuse and what the architecture promises.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from services.coordinator.decision import Decision
from services.coordinator.graph import Graph
from services.coordinator.release import first_release, release
from services.coordinator.state import Lane, NodeState, Outcome, RunState
from services.coordinator.transitions import keys_to_load, settle
from services.coordinator.versions import node_rows
from shared.contracts.states import NodeStatus, RunStatus
from tests.unit.coordinator.building import RUN_ID, completed, failed

#: Far more than any run here needs.
MOST_STEPS = 3000


class World:
    """One run. `tries[key]` says how each attempt of a node ends: `ok`, `ok:branch`, `retry` or `broken`."""

    def __init__(self, graph: Graph, tries: dict[str, list[str]], windows: dict[str, int], random: Random) -> None:
        self.graph, self.tries, self.windows, self.random = graph, tries, windows, random
        self.work: list[tuple[str, int]] = []
        self.results: list[Outcome] = []
        self.finished: Counter[str] = Counter()
        self.attempts: list[tuple[str, int]] = []
        self.arrows: set[tuple[NodeStatus, NodeStatus]] = set()
        self._start()

    def _start(self) -> None:
        started = first_release(RUN_ID, self.graph, self.window_of)
        self.status, self.unfinished, self.lanes = started.status, started.unfinished, started.lanes
        self.nodes = {
            row["node_key"]: NodeState(
                row["node_key"], row["node_type"], NodeStatus.PENDING, 0, 0, row["waiting_for"], 0
            )
            for row in node_rows(self.graph)
        }
        self.ready = [key for key in self.graph.roots if key not in started.nodes]
        for key in self.ready:
            self.nodes[key].is_waiting_for_room = True
        self.nodes.update(started.nodes)
        self.work += [(key, 1) for key in started.nodes]
        self._check()

    def window_of(self, node_type: str) -> int:
        return self.windows[node_type]

    # What may happen next, in any order

    def run(self) -> None:
        for _ in range(MOST_STEPS):
            if self.status.is_final:
                return
            if self.random.random() < 0.1:
                self._release_due()
            elif self.work and self.random.random() < 0.5:
                self._do_work()
            elif self.results:
                self._settle()
            elif not self.work:
                self._send_again()
        raise AssertionError("the run does not end")

    def _do_work(self) -> None:
        """A worker takes a message, which may come again or may get lost; so may its result."""
        key, attempt = self.work.pop(self.random.randrange(len(self.work)))
        chance = self.random.random()
        if chance < 0.1:
            return
        if chance < 0.2:
            self.work.append((key, attempt))
        result = self._result(key, attempt)
        self.results += [result] * self.random.choice([0, 1, 1, 1, 1, 1, 2])
        if self.random.random() < 0.1:
            self.results.append(replace(result, attempt=self.random.choice([attempt - 1, attempt + 100])))

    def _result(self, key: str, attempt: int) -> Outcome:
        how, _, branch = self.tries[key][attempt - 1].partition(":")
        is_redelivered = self.random.random() < 0.2
        if how == "ok":
            return completed(key, attempt, branch=branch or None, is_redelivered=is_redelivered)
        return failed(key, attempt, retryable=how == "retry", is_redelivered=is_redelivered)

    def _settle(self) -> None:
        self.random.shuffle(self.results)
        count = self.random.randint(1, len(self.results))
        batch, self.results = self.results[:count], self.results[count:]
        freed = Counter(self.graph.nodes[outcome.node_key].type for outcome in batch)
        run = self._load(keys_to_load(self.graph, batch), freed)
        self._save(run, settle({RUN_ID: run}, batch, self.window_of, self.random))

    def _release_due(self) -> None:
        """Retries are due, and windows are filled."""
        due = [key for key, node in self.nodes.items() if node.is_waiting_for_retry]
        run = self._load(due, self.windows)
        decision = Decision()
        release(decision, run, [run.nodes[key] for key in due], self.window_of)
        self._save(run, decision)

    def _send_again(self) -> None:
        """Nothing is on its way any more: what is running was lost."""
        self.work += [(key, node.attempt) for key, node in self.nodes.items() if node.status is NodeStatus.RUNNING]
        if not self.work:
            self._release_due()
        assert self.work, "nothing is left to do, but the run has not ended"

    # The database

    def _load(self, keys: set[str] | list[str], freed: dict[str, int]) -> RunState:
        """Copies of the slice alone: deciding gets nothing else."""
        lanes = {kind: replace(lane) for kind, lane in self.lanes.items()}
        run = RunState(RUN_ID, self.graph, self.status, self.unfinished, 1, lanes)
        queued = {
            kind: [key for key in self.ready if self.nodes[key].node_type == kind][:most]
            for kind, most in freed.items()
        }
        wanted = {*keys, *(key for names in queued.values() for key in names)}
        run.nodes = {key: replace(self.nodes[key]) for key in wanted}
        run.queued = {kind: names for kind, names in queued.items() if names}
        return run

    def _save(self, run: RunState, decision: Decision) -> None:
        for (_, key), change in decision.changes.items():
            before = self.nodes[key]
            assert change.left is before.status, f"{key} is {before.status}, not {change.left}"
            assert not before.status.is_final, f"{key} is {before.status} for ever"
            self._note(key, before.status, change.node.status)
            self.nodes[key] = replace(change.node)
        waiting = [key for key, node in self.nodes.items() if node.is_waiting_for_room]
        kept = [key for key in self.ready if key in waiting]
        self.ready = kept + [key for key in waiting if key not in kept]
        self.attempts += [(tried.node_key, tried.attempt) for tried in decision.attempts]
        if decision.runs:
            self.status, self.unfinished = run.status, run.unfinished
            self.lanes = {kind: lane for kind, lane in run.lanes.items() if lane.running or lane.waiting}
        for _, node in decision.released:
            self._check_release(node)
        if self.status.is_final and self.unfinished:
            self._close()
        self._check()
        self.work += [(node.key, node.attempt) for _, node in (*decision.released, *decision.repeated)]

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
                node.is_waiting_for_room = node.is_waiting_for_retry = False
                self.finished[node.key] += 1
        self.lanes, self.ready = {}, []

    # What must hold at every step

    def _check_release(self, node: NodeState) -> None:
        for edge in self.graph.incoming[node.key]:
            assert self.nodes[edge.source].status.is_final, f"{node.key} began before {edge.source} ended"
        assert node.attempt <= self.graph.nodes[node.key].retry.max_attempts, f"{node.key} was tried too often"

    def _check(self) -> None:
        lanes: dict[str, Lane] = {}
        for node in self.nodes.values():
            assert node.waiting_for >= 0, f"{node.key} waits for {node.waiting_for}"
            assert node.live >= 0
            lane = lanes.setdefault(node.node_type, Lane())
            lane.running += node.status is NodeStatus.RUNNING
            lane.waiting += node.is_waiting_for_room
            assert lane.running <= self.window_of(node.node_type), f"too many {node.node_type} are out"
        assert self.lanes == {kind: lane for kind, lane in lanes.items() if lane.running or lane.waiting}
        assert len(self.attempts) == len(set(self.attempts)), "an attempt was recorded twice"
        if self.status is not RunStatus.FAILED:
            assert self.unfinished == sum(not node.status.is_final for node in self.nodes.values())
