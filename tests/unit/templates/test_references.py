"""References: what a template names decides what its node is sent."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.pipelines import References
from shared.templates.config import compile_config
from tests.unit.templates.rendering import EXPRESSION, TEXT, compiled


def references(source: Any, field: dict[str, Any] = TEXT) -> References:
    return compiled(source, field).references


@pytest.mark.parametrize(
    ("source", "nodes"),
    [
        ("{{ nodes.a.text }}", {"a": ["text"]}),
        ("{{ nodes.a.text.deeper }}", {"a": ["text"]}),
        ("{{ nodes['a']['text'] }}", {"a": ["text"]}),
        ("{{ nodes.a['text'][0] }}", {"a": ["text"]}),
        ("{{ nodes.a.text }}{{ nodes.a.usage }}", {"a": ["text", "usage"]}),
        ("{{ nodes.a.text or nodes.b.text }}", {"a": ["text"], "b": ["text"]}),
        ("{{ nodes.a }}", {"a": None}),
        ("{{ nodes.a }}{{ nodes.a.text }}", {"a": None}),
        ("{{ nodes.a.text }}{{ nodes.a | tojson }}", {"a": None}),
        ("{{ nodes.a[input.field] }}", {"a": None}),
        ("{{ nodes.a[nodes.b.text] }}", {"a": None, "b": ["text"]}),
        ("{{ nodes.a.status }}", {"a": []}),
        ("{{ nodes.a.error.code }}", {"a": []}),
        ("{% if nodes.a.ok %}{{ nodes.b.text }}{% endif %}", {"a": ["ok"], "b": ["text"]}),
        ("{% for x in nodes.a.rows %}{{ x }}{{ nodes.b.text }}{% endfor %}", {"a": ["rows"], "b": ["text"]}),
        ("{{ 'x' | append(nodes.a.text) }}", {"a": ["text"]}),
        ("{# {{ nodes.a.text }} #}", {}),
        ("{% raw %}{{ nodes.a.text }}{% endraw %}", {}),
        ("nodes.a.text", {}),
    ],
)
def test_a_reference_to_a_node_names_the_fields_that_are_needed(source: str, nodes: dict[str, Any]):
    found = references(source)
    assert found.nodes == nodes
    assert found.input is ("input." in source)


@pytest.mark.parametrize(
    ("source", "needs_input"),
    [
        ("{{ input.name }}", True),
        ("{{ input }}", True),
        ("{{ name }}", True),
        ("{{ (name) }}", True),
        ("{% for x in names %}{{ x }}{% endfor %}", True),
        ("{% for x in nodes.a.names %}{{ x }}{{ loop.index }}{% endfor %}", False),
        ("{% set x = 1 %}{{ x }}", False),
        ("{{ run.id }}", False),
        ("{% for x in range(3) %}{{ x }}{% endfor %}", False),
        ("{{ previous.name }}", False),
        ("plain", False),
    ],
)
def test_the_input_is_needed_when_it_or_one_of_its_keys_is_named(source: str, needs_input: bool):
    assert references(source).input is needs_input


@pytest.mark.parametrize("source", ["{{ previous }}", "{{ previous.text }}", "{{ (previous) }}", "{{ x or previous }}"])
def test_previous_is_noted(source: str):
    assert references(source).previous is True
    assert references("{{ nodes.previous_one.text }}").previous is False


def test_an_expression_field_is_read_like_a_template():
    found = references("nodes.a.score > input.limit and previous.ok", EXPRESSION)
    assert found == References(input=True, nodes={"a": ["score"]}, previous=True)


def test_the_references_of_all_fields_are_put_together():
    schema = {"properties": {"when": EXPRESSION}}
    config = {
        "when": "nodes.a.ok",
        "texts": ["{{ nodes.a.text }}", {"deep": "{{ (nodes.b) }}"}],
        "c": "{{ nodes.b.text }}",
        "d": "{{ x }}",
    }
    found = compile_config(config, schema).references
    assert found == References(input=True, nodes={"a": ["ok", "text"], "b": None}, previous=False)


def test_a_config_without_templates_refers_to_nothing_and_is_itself():
    config = {"a": "text", "b": [1, {"c": "d"}], "e": "a { brace } and 100%"}
    found = compile_config(config, {})
    assert found.references == References()
    assert found.is_constant
    assert not found.needs_child
