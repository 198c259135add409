"""Every pair of a node's state and an outcome that may come in, late or not."""

from __future__ import annotations

import pytest

from services.coordinator.state import NodeState, Outcome, RunState
from services.coordinator.transitions import REASONS, Standing
from shared.contracts.states import AttemptOutcome, NodeStatus, RunStatus
from tests.unit.coordinator.building import completed, failed, graph_of, keys, node, outcome, run_of, settled

#: `name@2` is an outcome of attempt 2. The node has two attempts; its failure is handled.
TABLE = """
                  completed@1 retryable@1 permanent@1 timed_out@1 worker_died@1 completed@2 retryable@2 worker_died@2
waits_for_edges   STALE       STALE       STALE       STALE       STALE         STALE       STALE       STALE
waits_for_room    STALE       STALE       STALE       STALE       STALE         STALE       STALE       STALE
waits_for_retry   SETTLED     SETTLED     SETTLED     SETTLED     SETTLED       STALE       STALE       STALE
running@1         completed   pending     failed      pending     pending       STALE       STALE       STALE
running@2         STALE       STALE       STALE       STALE       STALE         completed   failed      failed
completed@1       SETTLED     SETTLED     SETTLED     SETTLED     SETTLED       STALE       STALE       STALE
failed@1          SETTLED     SETTLED     SETTLED     SETTLED     SETTLED       STALE       STALE       STALE
skipped           STALE       STALE       STALE       STALE       STALE         STALE       STALE       STALE
cancelled@1       RUN_IS_OVER RUN_IS_OVER RUN_IS_OVER RUN_IS_OVER RUN_IS_OVER   RUN_IS_OVER RUN_IS_OVER RUN_IS_OVER
"""


def pairs(*, applied: bool) -> list[tuple[str, str, str]]:
    """(state, event, cell) of the cells that change something, or of those that are ignored."""
    header, *rows = [line.split() for line in TABLE.strip().splitlines()]
    cells = [(row[0], event, cell) for row in rows for event, cell in zip(header, row[1:], strict=True)]
    return [pair for pair in cells if pair[2].islower() is applied]


def run_with(state: str) -> RunState:
    """`n` in this state, a node after it, and another that keeps the run going."""
    graph = graph_of("before -> n", "n -> after", "other", n=node(tries=2, on_error="continue"))
    run = run_of(graph, completed="before", running="n other", attempt=int(state.partition("@")[2] or 1))
    match state.partition("@")[0]:
        case "waits_for_edges":
            run.nodes["n"] = NodeState("n", "text", NodeStatus.PENDING, 0, 0, 1, 0)
        case "waits_for_room":
            run.nodes["n"] = NodeState("n", "text", NodeStatus.PENDING, 0, 0, 0, 1, is_waiting_for_room=True)
        case "waits_for_retry":
            run.nodes["n"] = NodeState("n", "text", NodeStatus.PENDING, 1, 1, 0, 1, is_waiting_for_retry=True)
        case "skipped":
            run.nodes["n"] = NodeState("n", "text", NodeStatus.SKIPPED, 0, 0, 0, 0)
        case "cancelled":
            run.nodes["n"].status, run.status = NodeStatus.CANCELLED, RunStatus.CANCELLED
        case status:
            run.nodes["n"].status = NodeStatus(status)
    return run


def event_of(text: str) -> Outcome:
    name, _, attempt = text.partition("@")
    match name:
        case "completed":
            return completed("n", int(attempt))
        case "retryable" | "permanent":
            return failed("n", int(attempt), retryable=name == "retryable")
        case _:
            return outcome("n", AttemptOutcome(name), int(attempt), retryable=True)


@pytest.mark.parametrize(("state", "event", "expected"), pairs(applied=True))
def test_an_expected_outcome_moves_the_node(state: str, event: str, expected: str):
    run = run_with(state)
    decision = settled(run, event_of(event))
    assert (run.nodes["n"].status, run.nodes["n"].attempt) == (expected, int(state[-1]))
    assert keys(decision.released) == (["after"] if expected != "pending" else [])
    assert [tried.attempt for tried in decision.attempts] == [int(event[-1])]
    assert decision.ignored == []


@pytest.mark.parametrize(("state", "event", "standing"), pairs(applied=False))
def test_any_other_outcome_is_ignored_with_its_reason(state: str, event: str, standing: str):
    run = run_with(state)
    decision = settled(run, event_of(event))
    assert [reason for _, reason in decision.ignored] == [REASONS[Standing[standing]]]
    assert not (decision.changes)
    assert not (decision.attempts)
    assert not (decision.released)
    assert not (decision.repeated)
    assert not (decision.runs)


@pytest.mark.parametrize(("state", "event", "standing"), pairs(applied=False))
def test_an_ignored_outcome_leaves_the_state_as_it_was(state: str, event: str, standing: str):
    run = run_with(state)
    settled(run, event_of(event))
    assert run == run_with(state)


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_run_that_is_over_ignores_late_answers(status: RunStatus):
    run = run_with("running@1")
    run.status = status
    assert settled(run, completed("n")).ignored == [((run.id, "n"), "its run is over")]


def test_an_outcome_of_an_unknown_run_is_ignored():
    other = run_with("running@1")
    other.id = str(other.graph.version_id)
    assert settled(other, completed("n")).ignored == [((completed("n").run_id, "n"), "its run or node is not known")]


def test_an_outcome_said_by_workers_of_another_type_is_ignored():
    run = run_with("running@1")
    decision = settled(run, completed("n", node_type="llm"))
    assert [reason for _, reason in decision.ignored] == ["its run or node is not known"]


def test_the_same_result_twice_in_a_batch_counts_once():
    run = run_with("running@1")
    decision = settled(run, completed("n"), completed("n"))
    assert (keys(decision.released), len(decision.attempts), len(decision.ignored)) == (["after"], 1, 1)


def test_of_two_results_of_one_attempt_the_first_wins():
    run = run_with("running@1")
    settled(run, completed("n"), failed("n"))
    assert run.nodes["n"].status is NodeStatus.COMPLETED


def test_a_redelivered_result_announces_its_running_successors_again():
    run = run_with("running@1")
    settled(run, completed("n"))
    decision = settled(run, completed("n", is_redelivered=True))
    assert (keys(decision.repeated), keys(decision.released)) == (["after"], [])


def test_a_result_sent_twice_announces_nothing_again():
    run = run_with("running@1")
    settled(run, completed("n"))
    assert settled(run, completed("n")).repeated == []


def test_a_redelivered_result_does_not_announce_what_is_done():
    run = run_with("running@1")
    settled(run, completed("n"))
    settled(run, completed("after"))
    assert settled(run, completed("n", is_redelivered=True)).repeated == []
