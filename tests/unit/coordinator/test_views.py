"""Views: what the API shows is calculated from the rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.coordinator.graph import Graph
from services.coordinator.views import duration_ms, node_views, run_output, run_view
from shared.contracts.pipelines import References
from shared.contracts.runs import NodeResultView, Run
from tests.unit.coordinator.building import RUN_ID, graph_of, node

START = datetime(2025, 1, 1, tzinfo=UTC)
GRAPH = graph_of("a -> b", "a -> c", b=node(references=References(input=True, nodes={"a": ["text"]}, previous=True)))


def run_row(**changes: Any) -> dict[str, Any]:
    row = {
        "id": RUN_ID,
        "pipeline_id": UUID(int=8),
        "pipeline_slug": "tested",
        "status": "running",
        "input": {"name": "Ada"},
        "error": None,
        "unfinished": 2,
        "event_seq": 5,
        "created_at": START,
        "started_at": START,
        "finished_at": None,
        "retry_of": None,
        "version": 1,
        "node_count": 3,
    }
    return row | changes


def node_row(key: str, status: str, **changes: Any) -> dict[str, Any]:
    row = {
        "node_key": key,
        "node_type": "text",
        "status": status,
        "attempt": 1 if status in ("completed", "failed", "running") else 0,
        "output": {"text": key} if status == "completed" else None,
        "error": None,
        "metadata": None,
        "started_at": None,
        "finished_at": None,
    }
    return row | changes


def attempt_row(key: str, number: int, **changes: Any) -> dict[str, Any]:
    row = {"node_key": key, "attempt": number, "outcome": "failed", "worker": f"w{number}", "error": None}
    return row | {"metadata": None, "started_at": START, "finished_at": START + timedelta(seconds=1)} | changes


def view_of(key: str, *rows: dict[str, Any], attempts: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return next(view for view in node_views(GRAPH, run_row(), rows, attempts) if view["node_key"] == key)


@pytest.mark.parametrize(
    ("status", "unfinished", "percent"),
    [("running", 3, 0), ("running", 2, 33), ("running", 0, 100), ("failed", 1, 66), ("completed", 0, 100)],
)
def test_progress_is_the_share_of_nodes_that_have_ended(status: str, unfinished: int, percent: int):
    assert run_view(run_row(status=status, unfinished=unfinished))["progress_percent"] == percent


def test_a_run_without_a_version_has_no_progress():
    error = {"code": "x", "message": "y"}
    view = run_view(run_row(status="failed", unfinished=0, error=error, version=None, node_count=None))
    assert (view["progress_percent"], view["version"], view["node_count"]) == (0, None, 0)


def test_a_duration_is_told_when_both_ends_are_known():
    assert duration_ms(START, START + timedelta(microseconds=1500)) == 1.5
    assert duration_ms(START, None) is None


def test_the_output_of_a_run_is_that_of_its_completed_leaves():
    rows = [node_row("a", "completed"), node_row("b", "completed"), node_row("c", "skipped")]
    assert run_output(GRAPH, rows) == {"b": {"text": "b"}}


def test_a_node_shows_the_values_that_its_templates_name():
    view = view_of("b", node_row("a", "completed"), node_row("b", "running"))
    assert view["input"] == {
        "input": {"name": "Ada"},
        "nodes": {"a": {"text": "a"}},
        "previous": {"text": "a"},
    }


def test_a_node_that_has_not_begun_shows_no_input():
    assert view_of("b", node_row("a", "running"), node_row("b", "pending"))["input"] is None


def test_retries_are_counted_from_the_attempts():
    view = view_of("a", node_row("a", "failed", attempt=3), attempts=(attempt_row("a", 1), attempt_row("a", 2)))
    assert (view["metadata"]["retry_count"], view["metadata"]["worker"]) == (2, "w2")
    assert [tried["duration_ms"] for tried in view["attempts"]] == [1000.0, 1000.0]


def test_attempts_stand_with_their_own_node():
    rows = (node_row("a", "completed"), node_row("b", "running"))
    assert view_of("b", *rows, attempts=(attempt_row("a", 1),))["attempts"] == []


def test_what_is_shown_is_what_the_contract_says():
    rows = [node_row("a", "completed"), node_row("b", "pending"), node_row("c", "skipped")]
    run = run_view(run_row()) | {"node_results": node_views(GRAPH, run_row(), rows, [attempt_row("a", 1)])}
    found = Run.model_validate(run)
    assert [type(node) for node in found.node_results or []] == [NodeResultView] * 3


def test_a_graph_knows_its_roots_and_leaves():
    graph: Graph = graph_of("a -> b", "c")
    assert (graph.roots, graph.leaves) == (("a", "c"), ("b", "c"))
