"""Windows: how many nodes of a type one run may have out, and who goes next."""

from __future__ import annotations

from services.coordinator.decision import Decision
from services.coordinator.release import first_release, release
from services.coordinator.state import Lane
from services.coordinator.versions import node_rows
from services.coordinator.windows import UNKNOWN_WINDOW, Windows
from shared.contracts.states import NodeStatus, RunStatus
from tests.unit.coordinator.building import RUN_ID, completed, failed, graph_of, keys, node, run_of, settled

FAN = graph_of("a -> b", "a -> c", "a -> d")


def test_no_more_nodes_go_out_than_the_window_holds():
    run = run_of(FAN, running="a")
    decision = settled(run, completed("a"), window=2)
    assert keys(decision.released) == ["b", "c"]
    assert (run.nodes["d"].status, run.nodes["d"].is_waiting_for_room) == (NodeStatus.PENDING, True)


def test_what_has_waited_longest_goes_first():
    graph = graph_of("a -> new", "old", "older")
    run = run_of(graph, running="a", queued="older old")
    assert keys(settled(run, completed("a"), window=1).released) == ["older"]


def test_a_newly_ready_node_waits_behind_those_that_wait():
    graph = graph_of("a -> new", "old", "older")
    run = run_of(graph, running="a", queued="older old")
    run.queued = {"text": ["older"]}
    settled(run, completed("a"), window=5)
    assert run.nodes["new"].is_waiting_for_room


def test_a_newly_ready_node_goes_out_when_nobody_is_left_waiting():
    run = run_of(graph_of("a -> new", "old"), running="a", queued="old")
    assert keys(settled(run, completed("a"), window=5).released) == ["old", "new"]


def test_types_do_not_wait_for_each_other():
    graph = graph_of("a -> b", "a -> c", b=node(type="llm"), c=node(type="llm"))
    run = run_of(graph, running="a")
    assert keys(settled(run, completed("a"), window=1).released) == ["b"]


def test_a_failed_attempt_gives_its_place_to_one_that_waits():
    graph = graph_of("a", "b", "last", a=node(tries=2))
    run = run_of(graph, running="a", queued="b")
    decision = settled(run, failed("a", retryable=True), window=1)
    assert (keys(decision.released), run.nodes["a"].is_waiting_for_retry) == (["b"], True)


def test_a_window_that_shrank_releases_nothing_until_there_is_room():
    run = run_of(graph_of("a", "b", "c", "d"), running="a b c", queued="d")
    first = settled(run, completed("a"), window=2)
    second = settled(run, completed("b"), window=2)
    assert (keys(first.released), keys(second.released)) == ([], ["d"])


def test_a_node_that_was_released_meanwhile_is_not_released_again():
    run = run_of(graph_of("a", "b"), running="a b")
    run.queued = {"text": ["b"]}
    assert settled(run, completed("a")).released == []


def test_a_released_node_begins_a_new_attempt_under_its_first_dispatch():
    run = run_of(graph_of("a", a=node(tries=3)), running="a", attempt=2)
    settled(run, failed("a", 2, retryable=True))
    release(Decision(), run, [run.nodes["a"]], lambda _: 1)
    assert (run.nodes["a"].attempt, run.nodes["a"].dispatch) == (3, 1)
    assert not run.nodes["a"].is_waiting_for_retry


def test_a_due_retry_without_room_waits_for_room_instead():
    run = run_of(graph_of("a", "b", a=node(tries=2)), running="a b")
    settled(run, failed("a", retryable=True))
    release(Decision(), run, [run.nodes["a"]], lambda _: 1)
    assert (run.nodes["a"].is_waiting_for_room, run.nodes["a"].is_waiting_for_retry) == (True, False)


def test_a_new_run_has_its_roots_out_as_far_as_there_is_room():
    run = first_release(RUN_ID, graph_of("a", "b", "c -> d"), lambda _: 2)
    assert (list(run.nodes), run.lanes) == (["a", "b"], {"text": Lane(running=2, waiting=1)})
    assert (run.status, run.unfinished) == (RunStatus.RUNNING, 4)


def test_the_rows_of_a_version_name_the_same_roots_as_the_first_release():
    graph = graph_of("a", "b", "x", "y -> c", x=node(type="llm"))
    run = first_release(RUN_ID, graph, lambda _: 2)
    out = [row["node_key"] for row in node_rows(graph) if row["root_rank"] is not None and row["root_rank"] <= 2]
    assert out == list(run.nodes) == ["a", "b", "x"]


def test_the_rows_of_a_version_count_the_edges_into_each_node():
    rows = {row["node_key"]: (row["node_index"], row["waiting_for"]) for row in node_rows(FAN)}
    assert rows == {"a": (0, 0), "b": (1, 1), "c": (2, 1), "d": (3, 1)}


def test_a_type_without_known_workers_has_a_small_window():
    assert Windows(None, fast=256).of("unheard_of") == UNKNOWN_WINDOW  # type: ignore[arg-type]  # reads no bucket
