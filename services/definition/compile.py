"""Turns a checked document into a version: an immutable copy with everything that a run needs; pure."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

import orjson

from services.definition.validation import Catalogue, invalid_pipeline, is_uuid
from shared.contracts.pipelines import CompiledNode, CompiledVersion, NodeDocument, PipelineDocument, Retry
from shared.contracts.problems import FieldProblem
from shared.templates.config import compile_cached


def compile_version(
    document: PipelineDocument,
    catalogue: Catalogue,
    *,
    version_id: UUID,
    pipeline_id: UUID,
    slug: str,
    number: int,
    published_at: datetime,
) -> CompiledVersion:
    """The document must have passed `check`; raises InvalidError when there is nothing to run."""
    if not document.nodes:
        raise invalid_pipeline(
            [FieldProblem(pointer="/nodes", detail=f"pipeline '{slug}' has no nodes. Add one, then publish.")]
        )
    return CompiledVersion(
        id=version_id,
        pipeline_id=pipeline_id,
        pipeline_slug=slug,
        number=number,
        input_schema=document.input_schema,
        nodes=[_compile_node(node, catalogue) for node in document.nodes],
        edges=document.edges,
        published_at=published_at,
    )


def _compile_node(node: NodeDocument, catalogue: Catalogue) -> CompiledNode:
    node_type = catalogue[node.type]
    return CompiledNode(
        key=node.key,
        type=node.type,
        name=node.name,
        config=node.config,
        retry=node.retry or Retry(),
        timeout_s=node.timeout_s or node_type.default_timeout_s,
        on_error=node.on_error,
        references=compile_cached(node.config, node_type.config_schema).references,
    )


def digest_of(document: PipelineDocument) -> str:
    """SHA-256 of what a run depends on; names, positions and descriptions are not part of it."""
    body = {
        "input_schema": document.input_schema,
        "nodes": [node.model_dump(exclude={"name", "position"}) for node in document.nodes],
        "edges": [edge.model_dump() for edge in document.edges],
    }
    return hashlib.sha256(orjson.dumps(body)).hexdigest()


def whole_digest_of(document: PipelineDocument) -> str:
    """SHA-256 of all that its user wrote."""
    return hashlib.sha256(orjson.dumps(document.model_dump(mode="json"))).hexdigest()


def slug_from(name: str) -> str:
    """A slug out of a name: `My digest (v2)` gives `my-digest-v2`."""
    slug = "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower())
    slug = "-".join(part for part in slug.split("-") if part).lstrip("0123456789-")
    slug = slug[:50].strip("-") or "pipeline"
    return f"pipeline-{slug}" if is_uuid(slug) else slug
