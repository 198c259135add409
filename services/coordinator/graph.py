"""The graph of a version, in the form that deciding needs; pure and immutable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shared.contracts.pipelines import CompiledNode, CompiledVersion
from shared.contracts.states import NodeStatus

#: The branch that is live when its source failed.
ERROR_BRANCH = "error"


@dataclass(frozen=True, slots=True)
class Edge:
    source: str
    target: str
    branch: str | None


@dataclass(frozen=True)
class Graph:
    """Nodes by key, and the edges into and out of each."""

    version_id: UUID
    pipeline_id: UUID
    pipeline_slug: str
    number: int
    nodes: dict[str, CompiledNode]
    outgoing: dict[str, tuple[Edge, ...]]
    incoming: dict[str, tuple[Edge, ...]]
    input_schema: dict[str, object] | None = None
    #: Nodes without outgoing edges: their outputs are the output of the run.
    leaves: tuple[str, ...] = field(default=())
    #: Nodes without incoming edges, in the order of the document.
    roots: tuple[str, ...] = field(default=())
    #: Nodes with an edge that is live when they fail.
    with_error_edge: frozenset[str] = field(default=frozenset())

    def below(self, keys: Iterable[str]) -> set[str]:
        """These nodes and all that can be reached from them."""
        found: set[str] = set()
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            if key not in found:
                found.add(key)
                waiting.extend(edge.target for edge in self.outgoing[key])
        return found

    def has_error_edge(self, key: str) -> bool:
        return key in self.with_error_edge

    def handles_failure(self, key: str) -> bool:
        """True when the run goes on after this node has failed."""
        return self.nodes[key].on_error == "continue" or self.has_error_edge(key)


def build_graph(version: CompiledVersion) -> Graph:
    outgoing: dict[str, list[Edge]] = {node.key: [] for node in version.nodes}
    incoming: dict[str, list[Edge]] = {node.key: [] for node in version.nodes}
    for document in version.edges:
        edge = Edge(document.source, document.target, document.branch)
        outgoing[edge.source].append(edge)
        incoming[edge.target].append(edge)
    return Graph(
        version_id=version.id,
        pipeline_id=version.pipeline_id,
        pipeline_slug=version.pipeline_slug,
        number=version.number,
        nodes={node.key: node for node in version.nodes},
        outgoing={key: tuple(edges) for key, edges in outgoing.items()},
        incoming={key: tuple(edges) for key, edges in incoming.items()},
        input_schema=version.input_schema,
        leaves=tuple(key for key, edges in outgoing.items() if not edges),
        roots=tuple(key for key, edges in incoming.items() if not edges),
        with_error_edge=frozenset(edge.source for edge in version.edges if edge.branch == ERROR_BRANCH),
    )


def chosen_branch(output: Mapping[str, Any] | None) -> str | None:
    """The branch that a node chose by what it gave, if its type has branches."""
    chosen = output.get("branch") if output else None
    return chosen if isinstance(chosen, str) else None


def is_live(edge: Edge, status: NodeStatus, chosen: str | None, has_error_edge: bool) -> bool:
    """Does this edge carry a value, now that its source has ended so? The table of ARCHITECTURE, "Edges"."""
    if status is NodeStatus.COMPLETED:
        return edge.branch is None or (edge.branch == chosen and edge.branch != ERROR_BRANCH)
    if status is NodeStatus.FAILED:
        return edge.branch == ERROR_BRANCH if has_error_edge else edge.branch is None
    return False


def in_order(graph: Graph) -> list[str]:
    """Every node after all that it waits for."""
    left = {key: len(edges) for key, edges in graph.incoming.items()}
    order = [key for key, count in left.items() if count == 0]
    for key in order:
        for edge in graph.outgoing[key]:
            left[edge.target] -= 1
            if left[edge.target] == 0:
                order.append(edge.target)
    return order
