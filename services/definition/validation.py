"""Checks a whole document against the catalogue: every finding at once, each with its place; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from services.definition.graph import Upstream, edge_findings, find_cycle, parents_of
from services.definition.input_schema import schema_findings
from shared.contracts.message import RESERVED_NODE_KEYS
from shared.contracts.pipelines import EdgeDocument, NodeDocument, PipelineDocument, Retry
from shared.contracts.problems import FieldProblem, pointer_to
from shared.errors import InvalidError, did_you_mean, unknown_field
from shared.storable import fault_of
from shared.templates.config import ConfigProblems, compile_cached
from shared.templates.validation import config_findings

#: Findings told at once.
MOST_FINDINGS = 100
UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class KnownType:
    """What the catalogue tells of a node type. One object as long as its schema stays."""

    name: str
    config_schema: dict[str, Any]
    default_timeout_s: float
    branches: list[str] | str | None


Catalogue = Mapping[str, KnownType]


def read_document(raw: Any) -> PipelineDocument:
    """The document as a model; raises InvalidError with every place that has the wrong shape."""
    check_storable(raw)
    try:
        return PipelineDocument.model_validate(raw)
    except ValidationError as error:
        raise invalid_pipeline(shape_findings(error, PipelineDocument)) from error


def check_storable(raw: Any) -> None:
    """Raises InvalidError for what could not be handed on, whatever it is."""
    if fault := fault_of(raw):
        raise invalid_pipeline([FieldProblem(detail=f"the document holds {fault}. Take it out.")])


def shape_findings(error: ValidationError, model: type[BaseModel]) -> list[FieldProblem]:
    """What has the wrong shape in a document of this model, each with its place."""
    return [_shape_finding(item, model) for item in error.errors(include_url=False)]


def _shape_finding(item: Any, model: type[BaseModel]) -> FieldProblem:
    parts = [str(part) for part in item["loc"]]
    pointer = pointer_to(parts)
    if item["type"] == "extra_forbidden":
        return FieldProblem(pointer=pointer, detail=unknown_field(parts[-1], _fields_at(parts, model)))
    if not parts:
        return FieldProblem(detail=f"must be an object with: {', '.join(model.model_fields)}")
    if item["type"] == "string_pattern_mismatch" and parts[-1] in ("key", "source", "target", "slug"):
        separator = "-" if parts[-1] == "slug" else "_"
        return FieldProblem(
            pointer=pointer,
            detail=f"{str(item['input'])[:100]!r} is not a valid {parts[-1]}: a lower-case letter, then at most 62 "
            f"lower-case letters, digits and '{separator}'",
        )
    return FieldProblem(pointer=pointer, detail=item["msg"])


def _fields_at(parts: list[str], model: type[BaseModel]) -> list[str]:
    if "retry" in parts[:-1]:
        return list(Retry.model_fields)
    if model is PipelineDocument and len(parts) > 2:
        model = NodeDocument if parts[0] == "nodes" else EdgeDocument
    return list(model.model_fields)


def invalid_pipeline(findings: list[FieldProblem]) -> InvalidError:
    first = findings[0]
    more = f" ({len(findings)} findings in all.)" if len(findings) > 1 else ""
    return InvalidError(
        "invalid_pipeline",
        f"{first.pointer or 'the document'}: {first.detail}{more}",
        findings[:MOST_FINDINGS],
    )


def check(document: PipelineDocument, catalogue: Catalogue) -> None:
    """Raises InvalidError when the graph or a config cannot run."""
    if findings := findings_of(document, catalogue):
        raise invalid_pipeline(findings)


def findings_of(document: PipelineDocument, catalogue: Catalogue, *, is_partial: bool = False) -> list[FieldProblem]:
    """Everything that is wrong; of a partial document without references that are not upstream yet."""
    findings = [*_slug_findings(document), *_key_findings(document)]
    if document.input_schema is not None:
        findings += schema_findings(document.input_schema)
    keys = {node.key for node in document.nodes}
    graph_findings = edge_findings(keys, document.edges)
    parents = parents_of(keys, [edge for edge in document.edges if edge.source != edge.target])
    if cycle := find_cycle(parents):
        graph_findings.append(
            FieldProblem(
                pointer="/edges",
                detail=f"the graph has a cycle: {' -> '.join(cycle)}. Remove one of these edges.",
            )
        )
    # What is upstream of what is known only of a graph that is one.
    upstream = Upstream(parents) if not graph_findings else None
    return findings + graph_findings + _node_findings(document, catalogue, parents, upstream, is_partial)


def is_uuid(text: str) -> bool:
    """True for what would be taken for the id of a pipeline."""
    return UUID_FORM.fullmatch(text) is not None


def _slug_findings(document: PipelineDocument) -> list[FieldProblem]:
    if document.slug is None or not is_uuid(document.slug):
        return []
    return [
        FieldProblem(pointer="/slug", detail="a slug cannot have the form of a UUID, since ids have. Choose a word.")
    ]


def _key_findings(document: PipelineDocument) -> list[FieldProblem]:
    findings = []
    seen: set[str] = set()
    for index, node in enumerate(document.nodes):
        if node.key in RESERVED_NODE_KEYS:
            findings.append(
                FieldProblem(pointer=f"/nodes/{index}/key", detail=f"'{node.key}' is reserved. Choose another key.")
            )
        if node.key in seen:
            findings.append(
                FieldProblem(pointer=f"/nodes/{index}/key", detail=f"another node has the key '{node.key}'.")
            )
        seen.add(node.key)
    return findings


def _node_findings(
    document: PipelineDocument,
    catalogue: Catalogue,
    parents: Mapping[str, list[str]],
    upstream: Upstream | None,
    is_partial: bool,
) -> list[FieldProblem]:
    #: Findings of a config by type and text, since many nodes of a large graph have the same.
    known: dict[tuple[str, bytes], list[FieldProblem]] = {}
    findings: list[FieldProblem] = []
    for index, node in enumerate(document.nodes):
        place = f"/nodes/{index}"
        node_type = catalogue.get(node.type)
        if node_type is None:
            findings.append(FieldProblem(pointer=f"{place}/type", detail=_unknown_type(node, catalogue)))
            continue
        text = (node.type, orjson.dumps(node.config))
        if text not in known:
            known[text] = config_findings(node.config, node_type.config_schema)
        findings += [
            FieldProblem(pointer=f"{place}/config{found.pointer}", detail=f"node '{node.key}': {found.detail}")
            for found in known[text]
        ]
        if not known[text] and not is_partial:
            findings += _reference_findings(node, node_type, f"{place}/config", upstream, parents)
    return findings + _branch_findings(document, catalogue)


def _unknown_type(node: NodeDocument, catalogue: Catalogue) -> str:
    hint = did_you_mean(node.type, catalogue)
    names = ", ".join(sorted(catalogue)) or "none; start a worker first"
    return f"node '{node.key}' has the unknown type '{node.type}'.{hint} Known are: {names}."


def _reference_findings(
    node: NodeDocument,
    node_type: KnownType,
    place: str,
    upstream: Upstream | None,
    parents: Mapping[str, list[str]],
) -> list[FieldProblem]:
    try:
        references = compile_cached(node.config, node_type.config_schema).references
    except ConfigProblems:
        return []
    findings = []
    for key in references.nodes:
        if key not in parents:
            hint = did_you_mean(key, parents)
            detail = f"node '{node.key}' refers to '{key}', which does not exist.{hint}"
        elif upstream is not None and not upstream.is_upstream(key, node.key):
            detail = (
                f"node '{node.key}' refers to '{key}', which is not upstream of it. "
                f"Add edges that lead from '{key}' to '{node.key}', or take the reference out."
            )
        else:
            continue
        findings.append(FieldProblem(pointer=place, detail=detail))
    if references.previous and upstream is not None and not parents[node.key]:
        detail = f"node '{node.key}' refers to 'previous', but no edge leads to it."
        findings.append(FieldProblem(pointer=place, detail=detail))
    return findings


def branches_of(node: NodeDocument, node_type: KnownType) -> list[str]:
    """The branches that this node may take, besides `error`."""
    branches = node_type.branches
    if isinstance(branches, str) and branches.startswith("config:"):
        items = node.config.get(branches.removeprefix("config:"))
        if not isinstance(items, list):
            return ["true", "false"]
        return [str(item.get("branch")) for item in items if isinstance(item, dict)] + ["default"]
    return branches if isinstance(branches, list) else []


def _branch_findings(document: PipelineDocument, catalogue: Catalogue) -> list[FieldProblem]:
    nodes = {node.key: node for node in document.nodes}
    branches = {node.key: branches_of(node, catalogue[node.type]) for node in document.nodes if node.type in catalogue}
    findings = []
    for index, edge in enumerate(document.edges):
        if edge.branch is None or edge.source not in branches:
            continue
        known = branches[edge.source]
        if edge.branch == "error":
            if nodes[edge.source].on_error == "continue":
                detail = f"node '{edge.source}' has on_error 'continue' and an error edge. Keep one of them."
                findings.append(FieldProblem(pointer=f"/edges/{index}/branch", detail=detail))
        elif edge.branch not in known:
            names = ", ".join([*known, "error"])
            detail = f"node '{edge.source}' has no branch '{edge.branch}'. It has: {names}."
            findings.append(FieldProblem(pointer=f"/edges/{index}/branch", detail=detail))
    return findings
