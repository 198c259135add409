"""Compiling: a version holds everything that a run needs, and its digest changes when a run would."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.definition.compile import compile_version, digest_of, slug_from
from shared.contracts.pipelines import CompiledNode, CompiledVersion, References, Retry
from shared.errors import InvalidError
from tests.unit.definition.building import CATALOGUE, accept, text


def compiled(*parts: dict[str, Any] | str, **more: Any) -> CompiledVersion:
    return compile_version(
        accept(*parts, **more),
        CATALOGUE,
        version_id=UUID(int=1),
        pipeline_id=UUID(int=2),
        slug="tested",
        number=3,
        published_at=datetime(2025, 1, 1, tzinfo=UTC),
    )


def node_of(*parts: dict[str, Any] | str) -> CompiledNode:
    return compiled(*parts).nodes[-1]


def test_a_version_keeps_edges_and_input_schema():
    version = compiled(text("a"), text("b"), "a -error-> b", input_schema={"type": "object"})
    assert [(edge.source, edge.target, edge.branch) for edge in version.edges] == [("a", "b", "error")]
    assert version.input_schema == {"type": "object"}


def test_a_pipeline_without_nodes_is_not_published():
    with pytest.raises(InvalidError, match="pipeline 'tested' has no nodes"):
        compiled()


def test_a_node_without_retry_has_the_default_one():
    assert node_of(text("a")).retry == Retry(max_attempts=3, initial_delay_s=0.5, factor=2.0, max_delay_s=30.0)


def test_a_retry_of_its_own_is_kept():
    assert node_of(text("a", retry={"max_attempts": 7})).retry.max_attempts == 7


def test_a_node_without_timeout_has_that_of_its_type():
    assert node_of({"key": "a", "type": "llm", "config": {"prompt": "x"}}).timeout_s == 120.0


def test_a_timeout_of_its_own_is_kept():
    assert node_of(text("a", timeout_s=5)).timeout_s == 5.0


@pytest.mark.parametrize(
    ("content", "references"),
    [
        ("hello", References()),
        ("{{ input.name }}", References(input=True)),
        ("{{ name }}", References(input=True)),
        ("{{ nodes.a.text }}{{ nodes.a.usage.tokens }}", References(nodes={"a": ["text", "usage"]})),
        ("{{ nodes.a }}", References(nodes={"a": None})),
        ("{{ nodes.a.status }}", References(nodes={"a": []})),
        ("{{ previous.text }}", References(previous=True)),
    ],
)
def test_references_are_what_the_templates_name(content: str, references: References):
    assert node_of(text("a"), text("b", content), "a -> b").references == references


def test_expressions_are_read_for_references_too():
    node = {"key": "t", "type": "transform", "config": {"expression": "nodes.a.text | length"}}
    assert node_of(text("a"), node, "a -> t").references == References(nodes={"a": ["text"]})


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Other"},
        {"description": "other"},
        {"nodes": [text("a", name="Other", position={"x": 1, "y": 2})]},
        {"slug": "other"},
    ],
    ids=["name", "description", "name and position of a node", "slug"],
)
def test_what_no_run_depends_on_leaves_the_digest_as_it_is(changes: dict[str, Any]):
    document = accept(text("a"))
    assert digest_of(type(document).model_validate(document.model_dump() | changes)) == digest_of(document)


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes": [text("a", "other")]},
        {"nodes": [text("a", on_error="continue")]},
        {"nodes": [text("a", retry={"max_attempts": 1})]},
        {"input_schema": {"type": "object"}},
        {"nodes": [text("a"), text("b")], "edges": [{"source": "a", "target": "b"}]},
    ],
    ids=["config", "on_error", "retry", "input_schema", "edges"],
)
def test_what_a_run_depends_on_changes_the_digest(changes: dict[str, Any]):
    document = accept(text("a"))
    assert digest_of(type(document).model_validate(document.model_dump() | changes)) != digest_of(document)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("My digest (v2)", "my-digest-v2"),
        ("2 fast", "fast"),
        ("Grüße", "gr-e"),
        ("日本", "pipeline"),
        ("---", "pipeline"),
        ("a" * 80, "a" * 50),
        ("a1890a5d-ac96-774b-bcce-b302099a8057", "pipeline-a1890a5d-ac96-774b-bcce-b302099a8057"),
    ],
)
def test_a_slug_is_made_from_a_name(name: str, slug: str):
    assert slug_from(name) == slug
