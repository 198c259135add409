"""Repair: the counters of a run that stands still are made anew from how its nodes ended."""

from __future__ import annotations

from services.coordinator.decision import Decision
from services.coordinator.repair import repair
from services.coordinator.state import Lane, RunState
from shared.contracts.states import NodeStatus, RunStatus
from tests.unit.coordinator.building import completed, graph_of, keys, node, run_of, settled, status_of


def repaired(run: RunState, window: int = 256, **chosen: str) -> Decision:
    decision = Decision()
    repair(decision, run, chosen, lambda _: window)
    return decision


def test_a_ready_node_that_was_forgotten_is_released():
    run = run_of(graph_of("a -> b", "b -> c"), completed="a")
    run.nodes["b"].waiting_for = 7
    assert keys(repaired(run).released) == ["b"]


def test_counters_are_counted_again():
    run = run_of(graph_of("a -> c", "b -> c"), completed="a")
    run.nodes["c"].waiting_for, run.nodes["c"].live, run.unfinished = 9, 9, 9
    repaired(run)
    assert (run.nodes["c"].waiting_for, run.nodes["c"].live, run.unfinished) == (1, 1, 2)


def test_a_forgotten_skip_goes_down_to_the_leaves():
    run = run_of(graph_of("a -yes-> b", "b -> c", "a -no-> d"), completed="a")
    decision = repaired(run, a="no")
    assert (keys(decision.released), status_of(run, "b"), status_of(run, "c")) == (
        ["d"],
        NodeStatus.SKIPPED,
        NodeStatus.SKIPPED,
    )


def test_a_run_whose_nodes_are_all_done_ends():
    run = run_of(graph_of("a -> b"), completed="a b")
    run.unfinished = 1
    decision = repaired(run)
    assert (run.status, list(decision.ended)) == (RunStatus.COMPLETED, [run.id])


def test_a_repaired_run_keeps_to_its_windows():
    run = run_of(graph_of("a", "b", "c"))
    decision = repaired(run, window=2)
    assert (keys(decision.released), run.lanes) == (["a", "b"], {"text": Lane(running=2, waiting=1)})


def test_repairing_twice_at_once_counts_what_the_first_repair_sent_out():
    run = run_of(graph_of("a", "b"))
    repaired(run)
    second = repaired(run)
    assert (second.released, run.lanes) == ([], {"text": Lane(running=2)})
    assert settled(run, completed("a")).ignored == []


def test_a_node_that_waits_for_its_retry_goes_on_waiting():
    run = run_of(graph_of("a", a=node(tries=2)))
    run.nodes["a"].attempt, run.nodes["a"].is_waiting_for_retry = 1, True
    assert repaired(run).released == []
