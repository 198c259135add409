"""What a retry keeps: what is done, unless something above it runs again."""

from __future__ import annotations

from services.coordinator.retrying import kept_nodes
from shared.contracts.states import NodeStatus
from tests.unit.coordinator.building import graph_of, node

DONE, FAILED, SKIPPED = NodeStatus.COMPLETED, NodeStatus.FAILED, NodeStatus.SKIPPED


def test_what_is_done_is_kept_and_what_failed_is_not():
    graph = graph_of("a -> b", "b -> c")
    assert kept_nodes(graph, {"a": DONE, "b": FAILED, "c": SKIPPED}, {}) == ["a"]


def test_what_never_began_because_the_run_ended_runs_again():
    graph = graph_of("a", "b", "a -> c")
    assert kept_nodes(graph, {"a": DONE, "b": FAILED, "c": SKIPPED}, {}) == ["a"]


def test_a_branch_not_taken_stays_skipped():
    graph = graph_of("a -yes-> b", "a -no-> c", "b -> d", "c -> d", "d -> e")
    statuses = {"a": DONE, "b": DONE, "c": SKIPPED, "d": DONE, "e": FAILED}
    assert kept_nodes(graph, statuses, {"a": "yes"}) == ["a", "b", "c", "d"]


def test_what_handled_a_failure_runs_again_with_it():
    graph = graph_of("a -error-> b", "a -> c", "d", d=node())
    statuses = {"a": FAILED, "b": DONE, "c": SKIPPED, "d": FAILED}
    assert kept_nodes(graph, statuses, {}) == []


def test_a_completed_run_keeps_everything():
    graph = graph_of("a -> b", "a -> c", "b -> d", "c -> d")
    assert kept_nodes(graph, dict.fromkeys("abcd", DONE), {}) == ["a", "b", "c", "d"]
