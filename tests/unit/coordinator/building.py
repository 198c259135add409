"""Graphs, runs and outcomes in the words of the domain, so that a test reads as a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

from services.coordinator.decision import Decision
from services.coordinator.graph import Graph, build_graph, is_live
from services.coordinator.state import Lane, NodeState, Outcome, RunState
from services.coordinator.transitions import settle
from shared.contracts.pipelines import CompiledNode, CompiledVersion, EdgeDocument, References, Retry
from shared.contracts.states import AttemptOutcome, NodeStatus, RunStatus

RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
WIDE = 256


def node(
    *,
    type: str = "text",
    tries: int = 1,
    on_error: Any = "fail",
    references: References | None = None,
) -> dict[str, Any]:
    """What a node has besides its key; the first retry waits up to 1 s."""
    return {
        "type": type,
        "retry": Retry(max_attempts=tries, initial_delay_s=1.0),
        "on_error": on_error,
        "references": references or References(),
    }


def graph_of(*lines: str, **nodes: dict[str, Any]) -> Graph:
    """`"a -> b"`, `"a -yes-> b"` and `"a"`, one a line; nodes that need more than a key are given by name."""
    edges = [edge for line in lines if (edge := _edge(line))]
    keys = dict.fromkeys(key for line in lines for key in (line.split()[0], line.split()[-1]))
    version = CompiledVersion(
        id=UUID(int=7),
        pipeline_id=UUID(int=8),
        pipeline_slug="tested",
        number=1,
        nodes=[
            CompiledNode.model_validate({"key": key, "config": {}, "timeout_s": 60, **nodes.get(key, node())})
            for key in keys
        ],
        edges=edges,
        published_at=datetime(2025, 1, 1, tzinfo=UTC),
    )
    return build_graph(version)


def _edge(line: str) -> EdgeDocument | None:
    """`a -yes-> b`"""
    if len(line.split()) == 1:
        return None
    source, arrow, target = line.split()
    return EdgeDocument(source=source, target=target, branch=arrow.removesuffix("->").removeprefix("-") or None)


def run_of(
    graph: Graph,
    *,
    running: str = "",
    completed: str = "",
    failed: str = "",
    skipped: str = "",
    queued: str = "",
    chosen: dict[str, str] | None = None,
    attempt: int = 1,
) -> RunState:
    """A run with these nodes in these states and all others pending; every counter is what it then must be."""
    named = {"running": running, "completed": completed, "failed": failed, "skipped": skipped}
    statuses = {key: NodeStatus(status) for status, keys in named.items() for key in keys.split()}
    run = RunState(RUN_ID, graph, RunStatus.RUNNING, 0, 1, {})
    for key, compiled in graph.nodes.items():
        status = statuses.get(key, NodeStatus.PENDING)
        tries = attempt if status not in (NodeStatus.PENDING, NodeStatus.SKIPPED) else 0
        state = NodeState(key, compiled.type, status, tries, min(tries, 1), 0, 0, key in queued.split())
        for edge in graph.incoming[key]:
            ended = statuses.get(edge.source, NodeStatus.PENDING)
            branch = (chosen or {}).get(edge.source)
            state.waiting_for += not ended.is_final
            state.live += ended.is_final and is_live(edge, ended, branch, graph.has_error_edge(edge.source))
        lane = run.lanes.setdefault(compiled.type, Lane())
        lane.running += status is NodeStatus.RUNNING
        lane.waiting += state.is_waiting_for_room
        run.unfinished += not status.is_final
        run.nodes[key] = state
    for key in queued.split():
        run.queued.setdefault(graph.nodes[key].type, []).append(key)
    return run


def diamond(*, running: str = "", completed: str = "") -> RunState:
    """a, then b and c, then d."""
    return run_of(graph_of("a -> b", "a -> c", "b -> d", "c -> d"), running=running, completed=completed)


def outcome(key: str, how: AttemptOutcome, attempt: int = 1, **more: Any) -> Outcome:
    return Outcome(RUN_ID, key, attempt, how, **more)


def completed(key: str, attempt: int = 1, *, branch: str | None = None, **more: Any) -> Outcome:
    output = {"branch": branch} if branch else {"text": key}
    return outcome(key, AttemptOutcome.COMPLETED, attempt, output=output, **more)


def failed(key: str, attempt: int = 1, *, retryable: bool = False, **more: Any) -> Outcome:
    error = {"code": "broken", "message": f"{key} is broken"}
    return outcome(key, AttemptOutcome.FAILED, attempt, error=error, retryable=retryable, **more)


def settled(run: RunState, *outcomes: Outcome, window: int = WIDE) -> Decision:
    return settle({run.id: run}, outcomes, lambda _: window, Random(1))


def keys(nodes: Sequence[tuple[RunState, NodeState]]) -> list[str]:
    return [state.key for _, state in nodes]


def status_of(run: RunState, key: str) -> NodeStatus:
    return run.nodes[key].status
