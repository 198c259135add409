"""Retries: how often, and how long is waited."""

from __future__ import annotations

from random import Random

from services.coordinator.transitions import settle
from shared.contracts.states import NodeStatus, RunStatus
from tests.unit.coordinator.building import RUN_ID, failed, graph_of, node, run_of, settled

TWICE = graph_of("a", a=node(tries=2))


def test_a_retryable_failure_waits_for_its_next_attempt():
    run = run_of(TWICE, running="a")
    decision = settled(run, failed("a", retryable=True))
    assert (run.nodes["a"].status, run.status) == (NodeStatus.PENDING, RunStatus.RUNNING)
    assert [tried.attempt for tried in decision.attempts] == [1]


def test_the_wait_is_a_random_part_of_the_backoff():
    waits = []
    for seed in range(50):
        run = run_of(TWICE, running="a")
        decision = settle({RUN_ID: run}, [failed("a", retryable=True)], lambda _: 1, Random(seed))
        waits.append(decision.changes[RUN_ID, "a"].retry_delay_s or 0.0)
    assert 0 <= min(waits) < 0.2
    assert 0.8 < max(waits) <= 1.0


def test_the_wait_is_never_shorter_than_the_other_side_asked_for():
    run = run_of(TWICE, running="a")
    decision = settled(run, failed("a", retryable=True, retry_after_s=17.0))
    assert decision.changes[RUN_ID, "a"].retry_delay_s == 17.0


def test_the_last_attempt_fails_for_good():
    run = run_of(TWICE, running="a", attempt=2)
    settled(run, failed("a", 2, retryable=True))
    assert (run.nodes["a"].status, run.status) == (NodeStatus.FAILED, RunStatus.FAILED)


def test_a_permanent_failure_is_not_tried_again():
    run = run_of(TWICE, running="a")
    settled(run, failed("a"))
    assert run.nodes["a"].status is NodeStatus.FAILED


def test_a_node_that_waits_for_a_retry_keeps_its_run_going():
    run = run_of(TWICE, running="a")
    settled(run, failed("a", retryable=True))
    assert run.unfinished == 1
