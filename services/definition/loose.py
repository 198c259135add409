"""Everything that is wrong with a document at once, also when parts of it have the wrong shape; pure."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from services.definition.validation import Catalogue, check_storable, findings_of, shape_findings
from shared.contracts.pipelines import MOST_EDGES, MOST_NODES, EdgeDocument, NodeDocument, PipelineDocument
from shared.contracts.problems import FieldProblem

Part = TypeVar("Part", bound=BaseModel)


def all_findings(raw: Any, catalogue: Catalogue) -> list[FieldProblem]:
    """Those of the shape, and of all else what can be told nevertheless; raises InvalidError when nothing can."""
    check_storable(raw)
    try:
        return findings_of(PipelineDocument.model_validate(raw), catalogue)
    except ValidationError as error:
        shape = shape_findings(error, PipelineDocument)
    if not isinstance(raw, dict):
        return shape
    unsound = {_part_of(finding.pointer) for finding in shape}
    # References need the whole graph, which nobody knows before every part of it can be read.
    rest = findings_of(_readable(raw), catalogue, is_partial=True)
    return shape + [finding for finding in rest if _part_of(finding.pointer) not in unsound]


def _part_of(pointer: str) -> str:
    """The node, edge or field that a place lies in."""
    return "/".join(pointer.split("/")[:3]) if pointer.startswith(("/nodes/", "/edges/")) else pointer


def _readable(raw: dict[str, Any]) -> PipelineDocument:
    """The document with a stand-in for every part that cannot be read, so that the others keep their places."""
    schema, slug = raw.get("input_schema"), raw.get("slug")
    return PipelineDocument.model_construct(
        name="",
        slug=slug if isinstance(slug, str) else None,
        input_schema=schema if isinstance(schema, dict) else None,
        nodes=[_read(NodeDocument, item) or _any_node(item, at) for at, item in _items(raw, "nodes", MOST_NODES)],
        edges=[_read(EdgeDocument, item) or _any_edge(at) for at, item in _items(raw, "edges", MOST_EDGES)],
    )


def _items(raw: dict[str, Any], name: str, most: int) -> list[tuple[int, Any]]:
    found = raw.get(name)
    return list(enumerate(found[:most])) if isinstance(found, list) else []


def _read(model: type[Part], item: Any) -> Part | None:
    try:
        return model.model_validate(item)
    except ValidationError:
        return None


def _any_node(item: Any, at: int) -> NodeDocument:
    """Under its own key when that can be read, so that edges still lead to it."""
    key = item.get("key") if isinstance(item, dict) else None
    return NodeDocument.model_construct(key=key if isinstance(key, str) else f" {at}", type=" ", config={})


def _any_edge(at: int) -> EdgeDocument:
    return EdgeDocument.model_construct(source=" ", target=" ", branch=f" {at}")
