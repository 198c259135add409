"""What a node is sent of upstream values: exactly what its templates refer to; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from services.coordinator.graph import Graph, chosen_branch, is_live
from shared.contracts.states import NodeStatus


class Ended(NamedTuple):
    """How an upstream node ended, and what it gave."""

    status: NodeStatus
    output: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @property
    def branch(self) -> str | None:
        return chosen_branch(self.output)


def needed_nodes(graph: Graph, key: str) -> Iterable[str]:
    """The upstream nodes whose end must be known to build this node's inputs."""
    references = graph.nodes[key].references
    yield from references.nodes
    if references.previous:
        for edge in graph.incoming[key]:
            if edge.source not in references.nodes:
                yield edge.source


def build_inputs(
    graph: Graph, key: str, run_input: Mapping[str, Any], ended: Callable[[str], Ended | None]
) -> dict[str, Any]:
    """The `inputs` of a NodeReady (see NodeInputs), as plain values."""
    references = graph.nodes[key].references
    inputs: dict[str, Any] = {"input": run_input if references.input else {}}
    nodes = {name: _upstream(ended(name), fields) for name, fields in references.nodes.items()}
    if references.previous:
        previous = _only_live(graph, key, ended)
        inputs["previous"] = previous
        if previous is not None:
            nodes[previous] = _upstream(ended(previous), None)
    inputs["nodes"] = nodes
    return inputs


def _upstream(end: Ended | None, fields: list[str] | None) -> dict[str, Any]:
    if end is None:
        return {"status": NodeStatus.SKIPPED}
    output = end.output
    if output is not None and fields is not None:
        output = {name: output[name] for name in fields if name in output}
    return {"status": end.status, "output": output, "error": end.error}


def _only_live(graph: Graph, key: str, ended: Callable[[str], Ended | None]) -> str | None:
    """The only live predecessor; None when there is none or more than one."""
    live = []
    for edge in graph.incoming[key]:
        end = ended(edge.source)
        if end is not None and is_live(edge, end.status, end.branch, graph.has_error_edge(edge.source)):
            live.append(edge.source)
    return live[0] if len(live) == 1 else None
