"""Runs and node results as the API shows them: what can be calculated is calculated here; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.coordinator.graph import Graph
from services.coordinator.inputs import Ended, build_inputs
from shared.contracts.states import NodeStatus, RunStatus

Row = Mapping[str, Any]


def duration_ms(started_at: datetime | None, finished_at: datetime | None) -> float | None:
    if started_at is None or finished_at is None:
        return None
    return round((finished_at - started_at).total_seconds() * 1000, 3)


def run_view(row: Row, output: dict[str, Any] | None = None) -> dict[str, Any]:
    """A run (see contracts.runs.Run) as plain values."""
    count = row["node_count"] or 0
    status = RunStatus(row["status"])
    return {
        "id": row["id"],
        "pipeline_id": row["pipeline_id"],
        "pipeline_slug": row["pipeline_slug"],
        "version": row["version"],
        "status": status,
        "input": row["input"],
        "output": output,
        "error": row["error"],
        "progress_percent": _progress(status, count, row["unfinished"]),
        "node_count": count,
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "duration_ms": duration_ms(row["started_at"], row["finished_at"]),
        "retry_of": row["retry_of"],
        "seq": row["event_seq"],
    }


def _progress(status: RunStatus, count: int, unfinished: int) -> int:
    if status is RunStatus.COMPLETED:
        return 100
    return (count - unfinished) * 100 // count if count else 0


def run_output(graph: Graph, nodes: Iterable[Row]) -> dict[str, Any]:
    """`{leaf key: its output}` of the leaves that completed."""
    leaves = set(graph.leaves)
    return {
        node["node_key"]: node["output"]
        for node in nodes
        if node["node_key"] in leaves and node["status"] == NodeStatus.COMPLETED
    }


def whole_run_view(graph: Graph, row: Row, nodes: Iterable[Row]) -> dict[str, Any]:
    """With its output, when it completed; its leaves are among the nodes then."""
    is_completed = row["status"] == RunStatus.COMPLETED
    return run_view(row, run_output(graph, nodes) if is_completed else None)


def node_views(graph: Graph, run: Row, nodes: Sequence[Row], attempts: Iterable[Row]) -> list[dict[str, Any]]:
    """Every node result (see contracts.runs.NodeResultView) as plain values."""
    ends = {node["node_key"]: Ended(NodeStatus(node["status"]), node["output"], node["error"]) for node in nodes}
    tries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for attempt in attempts:
        tries[attempt["node_key"]].append(_attempt_view(attempt))
    return [_node_view(graph, run, node, ends, tries[node["node_key"]]) for node in nodes]


def _node_view(
    graph: Graph, run: Row, node: Row, ends: Mapping[str, Ended], tries: list[dict[str, Any]]
) -> dict[str, Any]:
    key = node["node_key"]
    has_begun = node["attempt"] > 0
    return {
        "node_key": key,
        "node_type": node["node_type"],
        "status": node["status"],
        "input": _input_view(graph, key, run["input"], ends) if has_begun else None,
        "output": node["output"],
        "error": node["error"],
        "started_at": node["started_at"],
        "finished_at": node["finished_at"],
        "metadata": {
            **(node["metadata"] or {}),
            "duration_ms": duration_ms(node["started_at"], node["finished_at"]) if has_begun else None,
            "retry_count": max(0, node["attempt"] - 1),
            "worker": tries[-1]["worker"] if tries else None,
        },
        "attempts": tries,
    }


def _input_view(graph: Graph, key: str, run_input: Mapping[str, Any], ends: Mapping[str, Ended]) -> dict[str, Any]:
    """What its templates name of the run's input and of upstream values."""
    references = graph.nodes[key].references
    inputs = build_inputs(graph, key, run_input, ends.get)
    view: dict[str, Any] = {}
    if references.input:
        view["input"] = inputs["input"]
    if references.nodes:
        view["nodes"] = {name: inputs["nodes"][name]["output"] for name in references.nodes if name in ends}
    if references.previous:
        previous = inputs.get("previous")
        view["previous"] = inputs["nodes"][previous]["output"] if previous is not None else None
    return view


def _attempt_view(attempt: Row) -> dict[str, Any]:
    return {
        "attempt": attempt["attempt"],
        "outcome": attempt["outcome"],
        "worker": attempt["worker"],
        "error": attempt["error"],
        "started_at": attempt["started_at"],
        "finished_at": attempt["finished_at"],
        "duration_ms": duration_ms(attempt["started_at"], attempt["finished_at"]),
        "metadata": attempt["metadata"] or {},
    }
