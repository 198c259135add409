"""What changed from one document to another: by node and edge, with every value that differs; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.contracts.pipelines import PipelineDocument
from shared.contracts.problems import escape
from shared.contracts.versions import EdgeName, NodeDifference, ValueChange, VersionDifference

PIPELINE_FIELDS = ("name", "description", "input_schema")


def difference(
    before: PipelineDocument, after: PipelineDocument, *, number: int, other: int | None
) -> VersionDifference:
    """In the order of the documents; positions count too."""
    old_nodes = {node.key: node.model_dump(mode="json") for node in before.nodes}
    new_nodes = {node.key: node.model_dump(mode="json") for node in after.nodes}
    old_edges = {(edge.source, edge.target, edge.branch): EdgeName(**edge.model_dump()) for edge in before.edges}
    new_edges = {(edge.source, edge.target, edge.branch): EdgeName(**edge.model_dump()) for edge in after.edges}
    both = [(key, list(_changes(old_nodes[key], node, ""))) for key, node in new_nodes.items() if key in old_nodes]
    fields = set(PIPELINE_FIELDS)
    return VersionDifference(
        number=number,
        other=other,
        changes=list(_changes(before.model_dump(include=fields), after.model_dump(include=fields), "")),
        nodes_added=[key for key in new_nodes if key not in old_nodes],
        nodes_removed=[key for key in old_nodes if key not in new_nodes],
        nodes_changed=[NodeDifference(key=key, changes=changes) for key, changes in both if changes],
        edges_added=[edge for name, edge in new_edges.items() if name not in old_edges],
        edges_removed=[edge for name, edge in old_edges.items() if name not in new_edges],
    )


def _changes(before: Any, after: Any, pointer: str) -> Iterator[ValueChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _changes(before.get(key), after.get(key), f"{pointer}/{escape(str(key))}")
    elif before != after:
        yield ValueChange(pointer=pointer, before=before, after=after)
