"""What a field gives: its value when it is one `{{ }}`, text when the schema says so."""

from __future__ import annotations

from typing import Any

import pytest

from shared.templates.config import compile_config
from tests.unit.templates.rendering import (
    EXPRESSION,
    RUN_ID,
    STARTED_AT,
    TEXT,
    VALUE,
    completed,
    failed,
    rendered,
    scope,
    skipped,
)

VALUES = [41, "41", 1.5, True, False, None, "", [], [1, "a", None], {"a": {"b": [1]}}, "None", "[1]", "{'a': 1}"]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("source", ["{{ input.x }}", "{{x}}", "{{ input['x'] }}", "{{- x -}}", "{{ (x) }}"])
def test_a_field_that_is_one_expression_gives_the_value_itself(source: str, value: Any):
    found = rendered(source, scope({"x": value}), VALUE)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_an_expression_field_gives_the_value_itself(value: Any):
    found = rendered("input.x", scope({"x": value}), EXPRESSION)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (41, "41"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        ([1, "ü", None, True], '[1,"ü",null,true]'),
        ({"a": {"b": []}}, '{"a":{"b":[]}}'),
    ],
    ids=repr,
)
@pytest.mark.parametrize("source", ["{{ x }}", "{{ (x) }}", "{% if true %}{{ x }}{% endif %}", "{{ x | string }}"])
def test_a_field_that_is_text_by_its_schema_gives_text(source: str, value: Any, text: str):
    assert rendered(source, scope({"x": value})) == text


@pytest.mark.parametrize(
    ("schema", "given"),
    [
        ({"type": ["string", "null"]}, "7"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "7"),
        ({"enum": ["7", "8"]}, "7"),
        ({"$ref": "#/$defs/name"}, "7"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 7),
        ({"type": "integer"}, 7),
        ({"$ref": "#/$defs/missing"}, 7),
    ],
    ids=str,
)
def test_the_schema_says_through_unions_and_references_what_is_text(schema: dict[str, Any], given: Any):
    whole = {"properties": {"field": schema}, "$defs": {"name": {"type": "string"}}}
    assert compile_config({"field": "{{ x }}"}, whole).render(scope({"x": 7})) == {"field": given}


def test_text_beside_an_expression_makes_text():
    assert rendered("{{ x }}!", scope({"x": 41}), VALUE) == "41!"


def test_templates_deep_in_a_config_are_rendered_and_all_else_is_kept():
    config = {"headers": {"a": "{{ x }}", "b": "kept"}, "list": [1, "{{ x }}", {"c": ["{{ x }}-"]}], "none": None}
    assert rendered(config, scope({"x": 7}), VALUE) == {
        "headers": {"a": 7, "b": "kept"},
        "list": [1, 7, {"c": ["7-"]}],
        "none": None,
    }


@pytest.mark.parametrize(
    ("source", "given"),
    [("{{ -x }}", -3), ("{{ - x }}", -3), ("{{ +x }}", 3), ("{{-x }}", 3), ("{{--x-}}", -3), ("{{ -5 }}", -5)],
)
def test_a_sign_belongs_to_the_number_unless_it_stands_at_the_braces(source: str, given: int):
    assert rendered(source, scope({"x": 3}), VALUE) == given


@pytest.mark.parametrize(("source", "field"), [("{{ x, 2 }}", VALUE), ("x, 2", EXPRESSION), ("(x, 2)", EXPRESSION)])
def test_values_beside_each_other_make_a_list(source: str, field: dict[str, Any]):
    assert rendered(source, scope({"x": 1}), field) == [1, 2]


@pytest.mark.parametrize("source", ["{{ nodes.a.text }}", "{{ nodes.a['text'] }}", "{{ (nodes.a.text) }}"])
@pytest.mark.parametrize("node", [skipped(), failed()], ids=["skipped", "failed"])
def test_fields_of_a_node_that_gave_nothing_are_none(node: Any, source: str):
    assert rendered(source, scope(nodes={"a": node}), VALUE) is None
    assert rendered(f"<{source}>", scope(nodes={"a": node})) == "<>"


def test_after_a_condition_the_branch_that_ran_is_taken():
    given = scope(nodes={"a": skipped(), "b": completed(text="from b")})
    assert rendered("{{ nodes.a.text or nodes.b.text }}", given) == "from b"


@pytest.mark.parametrize(
    ("node", "status"), [(completed(text="x"), "completed"), (skipped(), "skipped"), (failed(), "failed")], ids=str
)
def test_the_status_of_a_node_can_be_asked_for(node: Any, status: str):
    assert rendered("{{ nodes.a.status }}", scope(nodes={"a": node}), VALUE) == status


def test_the_status_is_the_engines_even_if_an_output_has_such_a_field():
    assert rendered("{{ nodes.a.status }}", scope(nodes={"a": completed(status=200)}), VALUE) == "completed"


def test_the_error_of_a_failed_node_has_its_code_and_message():
    given = scope(nodes={"a": failed("timed_out", "too slow")})
    assert rendered("{{ nodes.a.error }}", given, VALUE) == {"code": "timed_out", "message": "too slow"}
    assert rendered("{{ nodes.a.error.code }}: {{ nodes.a.error.message }}", given) == "timed_out: too slow"


@pytest.mark.parametrize("node", [completed(text="x"), skipped()], ids=["completed", "skipped"])
def test_a_node_that_did_not_fail_has_no_error(node: Any):
    assert rendered("{{ nodes.a.error }}", scope(nodes={"a": node}), VALUE) is None


def test_previous_is_the_output_of_the_only_predecessor():
    given = scope(nodes={"a": completed(text="x", n=1)}, previous="a")
    assert rendered("{{ previous.text }}", given) == "x"
    assert rendered("{{ previous }}", given, VALUE) == {"text": "x", "n": 1}


def test_the_run_tells_its_id_and_when_it_began():
    assert rendered("{{ run.id }} {{ run.started_at }}") == f"{RUN_ID} {STARTED_AT.isoformat()}"


def test_the_inputs_keys_stand_at_top_level_too():
    assert rendered("{{ name }} {{ input.name }}", scope({"name": "Ada"})) == "Ada Ada"


@pytest.mark.parametrize(
    ("source", "given"), [("{{ input.x }}", 1), ("{{ nodes.a.text }}", "x"), ("{{ run.id }}", RUN_ID)]
)
def test_reserved_names_win_over_the_inputs_keys(source: str, given: Any):
    hostile = {"x": 1, "input": {"x": "no"}, "nodes": {"a": {"text": "no"}}, "run": {"id": "no"}, "previous": "no"}
    assert rendered(source, scope(hostile, nodes={"a": completed(text="x")}), VALUE) == given


def test_an_input_named_previous_does_not_stand_in_for_a_predecessor():
    hostile = scope({"previous": "no"}, nodes={"a": completed(text="x")}, previous="a")
    assert rendered("{{ previous }}", hostile, VALUE) == {"text": "x"}
    assert rendered("{{ previous is undefined }}", scope({"previous": "no"}), VALUE) is True


@pytest.mark.parametrize("field", [TEXT, VALUE])
@pytest.mark.parametrize("source", ["{{ nodes.a.text }}", "{{ nodes.a.text | string }}", "{{ previous.text }}"])
def test_what_a_model_says_is_never_rendered_again(source: str, field: dict[str, Any]):
    said = "{{ input.secret }} {% for x in range(9) %}x{% endfor %} {{ 7 * 7 }}"
    given = scope({"secret": "s3cret"}, nodes={"a": completed(text=said)}, previous="a")
    assert rendered(source, given, field) == said


def test_what_the_input_says_is_never_rendered_again():
    assert rendered("Dear {{ name }},", scope({"name": "{{ run.id }}"})) == "Dear {{ run.id }},"
