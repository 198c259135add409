"""What an edge means: each line of the table in the architecture, and what follows from several."""

from __future__ import annotations

import pytest

from services.coordinator.transitions import keys_to_load
from shared.contracts.states import AttemptOutcome, NodeStatus, RunStatus
from tests.unit.coordinator.building import (
    completed,
    diamond,
    failed,
    graph_of,
    keys,
    node,
    outcome,
    run_of,
    settled,
    status_of,
)


def test_a_completed_node_makes_its_plain_edge_live():
    run = run_of(graph_of("a -> b"), running="a")
    assert keys(settled(run, completed("a")).released) == ["b"]


def test_only_the_chosen_branch_is_live():
    run = run_of(graph_of("a -yes-> b", "a -no-> c"), running="a")
    decision = settled(run, completed("a", branch="yes"))
    assert (keys(decision.released), status_of(run, "c")) == (["b"], NodeStatus.SKIPPED)


def test_a_plain_edge_of_a_node_with_branches_is_live_whatever_it_chose():
    run = run_of(graph_of("a -yes-> b", "a -> c"), running="a")
    assert keys(settled(run, completed("a", branch="no")).released) == ["c"]


def test_the_error_edge_of_a_completed_node_is_not_live():
    run = run_of(graph_of("a -> b", "a -error-> c"), running="a")
    decision = settled(run, completed("a"))
    assert (keys(decision.released), status_of(run, "c")) == (["b"], NodeStatus.SKIPPED)


def test_an_output_cannot_choose_the_error_edge():
    run = run_of(graph_of("a -> b", "a -error-> c"), running="a")
    settled(run, completed("a", branch="error"))
    assert status_of(run, "c") is NodeStatus.SKIPPED


def test_a_failure_makes_its_error_edge_live_and_no_other():
    run = run_of(graph_of("a -> b", "a -yes-> c", "a -error-> d"), running="a")
    decision = settled(run, failed("a"))
    assert keys(decision.released) == ["d"]
    assert (status_of(run, "b"), status_of(run, "c")) == (NodeStatus.SKIPPED, NodeStatus.SKIPPED)


def test_a_failure_that_continues_makes_its_plain_edge_live_but_no_branch():
    run = run_of(graph_of("a -> b", "a -yes-> c", a=node(on_error="continue")), running="a")
    decision = settled(run, failed("a"))
    assert (keys(decision.released), status_of(run, "c")) == (["b"], NodeStatus.SKIPPED)


def test_a_run_with_only_handled_failures_is_completed():
    run = run_of(graph_of("a -error-> b"), running="a")
    settled(run, failed("a"))
    settled(run, completed("b"))
    assert run.status is RunStatus.COMPLETED


def test_an_unhandled_failure_fails_the_run_at_once():
    run = run_of(graph_of("a -> b", "c"), running="a c")
    decision = settled(run, failed("a"))
    assert run.status is RunStatus.FAILED
    assert decision.ended[run.id].error == {"code": "broken", "message": "a is broken", "node_key": "a"}


def test_a_run_that_fails_releases_nothing_of_its_batch():
    run = run_of(graph_of("a -> b", "c -> d"), running="a c")
    assert settled(run, completed("a"), failed("c")).released == []


def test_a_run_that_failed_ignores_the_rest_of_its_batch():
    run = run_of(graph_of("a -> b", "c -> d"), running="a c")
    assert settled(run, failed("c"), completed("a")).ignored == [((run.id, "a"), "its run is over")]


def test_the_last_node_failing_unhandled_fails_the_run():
    run = run_of(graph_of("a"), running="a")
    settled(run, failed("a"))
    assert (run.status, run.unfinished) == (RunStatus.FAILED, 0)


@pytest.mark.parametrize(
    "how", [AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.WORKER_DIED], ids=lambda how: how.value
)
def test_every_way_to_fail_takes_the_error_edge(how: AttemptOutcome):
    run = run_of(graph_of("a -error-> b"), running="a")
    assert keys(settled(run, outcome("a", how)).released) == ["b"]


def test_a_skip_goes_down_to_the_leaves():
    run = run_of(graph_of("a -yes-> b", "b -> c", "c -error-> d", "a -no-> e"), running="a")
    settled(run, completed("a", branch="no"))
    assert [status_of(run, key) for key in "bcd"] == [NodeStatus.SKIPPED] * 3


def test_a_skip_stops_at_a_join_that_has_a_live_edge():
    run = run_of(graph_of("a -yes-> b", "b -> c", "a -no-> c"), running="a")
    assert keys(settled(run, completed("a", branch="no")).released) == ["c"]


def test_a_join_waits_for_its_last_parent():
    run = diamond(running="b c", completed="a")
    first = settled(run, completed("b"))
    second = settled(run, completed("c"))
    assert (keys(first.released), keys(second.released)) == ([], ["d"])


def test_a_join_hit_by_a_completion_and_a_skip_in_one_batch_is_released_once():
    graph = graph_of("a -yes-> b", "a -no-> c", "x -> d", "b -> d", "c -> y")
    run = run_of(graph, running="a x")
    decision = settled(run, completed("x"), completed("a", branch="no"))
    assert sorted(keys(decision.released)) == ["c", "d"]
    assert (run.nodes["d"].waiting_for, run.nodes["d"].live) == (0, 1)


def test_a_join_whose_edges_all_carry_nothing_is_skipped():
    run = run_of(graph_of("a -yes-> c", "b -yes-> c"), running="a b")
    settled(run, completed("a", branch="no"), completed("b", branch="no"))
    assert (status_of(run, "c"), run.status) == (NodeStatus.SKIPPED, RunStatus.COMPLETED)


def test_two_edges_between_the_same_nodes_count_as_two():
    run = run_of(graph_of("a -yes-> b", "a -no-> b"), running="a")
    assert keys(settled(run, completed("a", branch="yes")).released) == ["b"]


def test_ten_thousand_inputs_of_one_join_in_one_batch_are_one_change_of_it():
    sources = [f"s{number}" for number in range(10_000)]
    run = run_of(graph_of(*(f"{source} -> join" for source in sources)), running=" ".join(sources))
    decision = settled(run, *(completed(source) for source in sources))
    released, changes = keys(decision.released), len(decision.changes)
    assert (released, changes) == (["join"], 10_001)


def test_a_change_names_the_state_that_it_leaves():
    run = run_of(graph_of("a -yes-> b"), running="a")
    decision = settled(run, completed("a", branch="no"))
    left = {key: change.left for (_, key), change in decision.changes.items()}
    assert left == {"a": NodeStatus.RUNNING, "b": NodeStatus.PENDING}


def test_a_completed_node_needs_only_its_successors():
    graph = graph_of("a -> b", "b -> c", "a -> d", "x -> y")
    assert keys_to_load(graph, [completed("a")]) == {"a", "b", "d"}


def test_an_edge_that_may_carry_nothing_needs_all_below_it():
    graph = graph_of("a -yes-> b", "b -> c", "a -no-> d", "d -> e")
    assert keys_to_load(graph, [completed("a", branch="no")]) == {"a", "b", "c", "d"}


def test_a_failure_that_ends_the_run_or_is_tried_again_needs_only_its_node():
    graph = graph_of("a -> b", "c -error-> d", c=node(tries=2))
    assert keys_to_load(graph, [failed("a"), failed("c", retryable=True)]) == {"a", "c"}


def test_a_node_that_does_not_exist_needs_nothing():
    assert keys_to_load(graph_of("a -> b"), [completed("z")]) == set()
