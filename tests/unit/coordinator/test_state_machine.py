"""Everything that can happen to a run, in every order that hypothesis thinks of."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.coordinator.decision import Decision
from services.coordinator.memory import RunMemory
from services.coordinator.release import first_release, release
from services.coordinator.state import Outcome, RunState
from services.coordinator.transitions import keys_to_load, settle
from shared.contracts.states import AttemptOutcome, NodeStatus, RunStatus
from tests.unit.coordinator.building import RUN_ID, completed, failed, outcome
from tests.unit.coordinator.cases import random_case
from tests.unit.coordinator.database import Database

#: Far more than any run here needs.
MOST_STEPS = 500


class Run(RuleBasedStateMachine):
    """The rows of one run; each rule is a commit, or one that a crash prevents. The rows check themselves."""

    @initialize(seed=st.integers(0, 2**32))
    def start(self, seed: int) -> None:
        self.random = Random(seed)
        case = random_case(self.random)
        self.graph = case.graph
        self.database = Database(case.graph, case.windows)
        self.memory = RunMemory()
        self.memory.begin(first_release(RUN_ID, case.graph, self.database.window_of))
        self.said: list[Outcome] = []
        self.last_seq = 0
        self.ended_as: tuple[RunStatus, dict[str, NodeStatus]] | None = None

    def _is_running(self) -> bool:
        return bool(self.database.running)

    def _pick(self, chosen: int) -> tuple[str, int]:
        node = self.database.running[chosen % len(self.database.running)]
        return node.key, node.attempt

    def _settle(self, *outcomes: Outcome, crashes: bool = False) -> None:
        """In one batch, from memory where that can be; a crash before the commit leaves everything as it was."""
        decision = self.memory.settle(outcomes, self.database.window_of, self.random)
        run = decision.runs[RUN_ID] if decision is not None else None
        if decision is None or run is None or run.seq != self.database.seq:
            freed = Counter(self.graph.nodes[one.node_key].type for one in outcomes)
            run = self.database.load(keys_to_load(self.graph, outcomes), freed)
            decision = settle({RUN_ID: run}, outcomes, self.database.window_of, self.random)
        if not crashes:
            self.database.save(run, decision)
            self.memory.keep(decision)
        self.said += outcomes

    @precondition(_is_running)
    @rule(chosen=st.integers(0, 20), branch=st.sampled_from([None, None, "yes", "no"]), crashes=st.booleans())
    def end_well(self, chosen: int, branch: str | None, crashes: bool) -> None:
        key, attempt = self._pick(chosen)
        self._settle(completed(key, attempt, branch=branch), crashes=crashes)

    @precondition(_is_running)
    @rule(
        chosen=st.integers(0, 20),
        how=st.sampled_from([AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.WORKER_DIED]),
        retryable=st.booleans(),
    )
    def end_badly(self, chosen: int, how: AttemptOutcome, retryable: bool) -> None:
        key, attempt = self._pick(chosen)
        self._settle(outcome(key, how, attempt, error={"code": "broken"}, retryable=retryable))

    @precondition(_is_running)
    @rule(branch=st.sampled_from([None, "yes"]))
    def all_end_in_one_batch(self, branch: str | None) -> None:
        """With each of them said twice."""
        ends = [completed(node.key, node.attempt, branch=branch) for node in self.database.running]
        self._settle(*ends, *ends)

    @precondition(lambda self: self.said)
    @rule(chosen=st.integers(0, 20), is_redelivered=st.booleans())
    def say_again(self, chosen: int, is_redelivered: bool) -> None:
        """A duplicate or a replay; nothing new comes of it unless a crash had prevented it."""
        self._settle(replace(self.said[chosen % len(self.said)], is_redelivered=is_redelivered))

    @rule(chosen=st.integers(0, 20), distance=st.sampled_from([-1, 1, 50]))
    def say_what_is_stale(self, chosen: int, distance: int) -> None:
        key = list(self.graph.nodes)[chosen % len(self.graph.nodes)]
        before = self._state()
        self._settle(failed(key, self.database.nodes[key].attempt + distance))
        assert self._state() == before
        self.said.pop()

    @rule(crashes=st.booleans(), is_told=st.booleans())
    def release_what_is_due(self, crashes: bool, is_told: bool = True) -> None:
        """Retries whose time has come, and nodes for which there is room; here, or by another coordinator."""
        if self.database.status is not RunStatus.RUNNING:
            return
        due = self.database.due
        run: RunState = self.database.load(due, self.database.windows)
        decision = Decision()
        release(decision, run, [run.nodes[key] for key in due], self.database.window_of)
        if is_told:
            self.memory.forget(decision.runs)
        if not crashes:
            self.database.save(run, decision)

    @precondition(_is_running)
    @rule(chosen=st.integers(0, 20))
    def send_again(self, chosen: int) -> None:
        self.database.raise_dispatch(self._pick(chosen)[0])

    @rule(chance=st.integers(0, 9))
    def cancel(self, chance: int) -> None:
        if chance == 0:
            self.database.cancel()
            assert self.database.status.is_final
            assert not self.database.running

    @invariant()
    def the_rows_agree(self) -> None:
        self.database.check()
        assert self.database.seq >= self.last_seq
        self.last_seq = self.database.seq

    @invariant()
    def what_is_remembered_is_what_is_there(self) -> None:
        """Unless another coordinator has changed it, which its event_seq tells."""
        found = self.memory.copies([RUN_ID])
        if found is None or found[RUN_ID].seq != self.database.seq:
            return
        remembered, kinds = found[RUN_ID], {node.type for node in self.graph.nodes.values()}
        there = self.database.load(self.graph.nodes, dict.fromkeys(kinds, len(self.graph.nodes)))
        for node in (*(remembered.nodes[key] for key in self.graph.nodes), *there.nodes.values()):
            # Sending work again tells nobody, and changes nothing that is decided.
            node.dispatch = 0
            if node.waiting_for == 0:
                # All its edges are decided; of one that waited for room it is not kept how.
                node.live = 0
        remembered.queued = {kind: keys for kind, keys in remembered.queued.items() if keys}
        assert remembered == there

    @invariant()
    def an_end_is_for_ever(self) -> None:
        if self.database.status.is_final:
            end = (self.database.status, {key: node.status for key, node in self.database.nodes.items()})
            assert self.ended_as in (None, end)
            assert all(status.is_final for status in end[1].values())
            self.ended_as = end

    @invariant()
    def something_is_in_flight(self) -> None:
        if not self.database.status.is_final:
            assert self.database.running or self.database.ready or self.database.due

    def teardown(self) -> None:
        """Wherever it stands, it can be brought to its end."""
        for _ in range(MOST_STEPS):
            if self.database.status.is_final:
                break
            if self.database.running:
                self.end_well(0, None, False)
            else:
                self.release_what_is_due(False)
        assert self.database.status.is_final
        assert self.database.finished == dict.fromkeys(self.graph.nodes, 1)

    def _state(self) -> tuple[RunStatus, int, dict[str, tuple[NodeStatus, int]]]:
        nodes = {key: (node.status, node.attempt) for key, node in self.database.nodes.items()}
        return self.database.status, self.database.unfinished, nodes


Run.TestCase.settings = settings(
    max_examples=300, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
TestRun = Run.TestCase
