"""The shape of a document: every place that is wrong is told at once, with what to do."""

from __future__ import annotations

from typing import Any

import pytest

from services.definition.validation import MOST_FINDINGS, read_document
from shared.errors import InvalidError
from tests.unit.definition.building import accept, document, findings_of, raw, text


def test_a_document_needs_only_a_name():
    assert read_document({"name": "Empty"}).nodes == []


def test_an_unknown_field_names_the_one_that_was_perhaps_meant():
    assert findings_of(text("a", on_eror="fail")) == {
        "/nodes/0/on_eror": "'on_eror' is not a known field. Did you mean 'on_error'?"
    }


@pytest.mark.parametrize(
    ("more", "pointer", "word"),
    [
        ({"descripton": ""}, "/descripton", "description"),
        ({"nodes": [text("a", retry={"max_atempts": 2})]}, "/nodes/0/retry/max_atempts", "max_attempts"),
        ({"edges": [{"source": "a", "target": "b", "branche": "x"}]}, "/edges/0/branche", "branch"),
    ],
)
def test_unknown_fields_are_found_everywhere(more: dict[str, Any], pointer: str, word: str):
    with pytest.raises(InvalidError) as caught:
        read_document(raw() | more)
    assert [(found.pointer, word in found.detail) for found in caught.value.problem.errors] == [(pointer, True)]


@pytest.mark.parametrize("slug", ["Digest", "1st", "my_digest", "-a", "a" * 64, "", "dïgest"])
def test_a_bad_slug_is_refused_with_its_rule(slug: str):
    detail = findings_of(text("a"), slug=slug)["/slug"]
    assert "a lower-case letter, then at most 62 lower-case letters, digits and '-'" in detail


@pytest.mark.parametrize("slug", ["a", "my-digest-2", "a" * 63])
def test_a_good_slug_is_taken(slug: str):
    assert accept(text("a"), slug=slug).slug == slug


def test_a_slug_that_could_be_an_id_is_refused():
    assert list(findings_of(text("a"), slug="a1890a5d-ac96-774b-bcce-b302099a8057")) == ["/slug"]


@pytest.mark.parametrize("key", ["A", "1a", "a-b", "a b", "", "a" * 64, "a\n"])
def test_a_bad_node_key_is_refused_with_its_rule(key: str):
    assert "lower-case letters, digits and '_'" in findings_of(text(key))["/nodes/0/key"]


@pytest.mark.parametrize("key", ["input", "nodes", "previous", "run", "env"])
def test_a_key_that_templates_use_is_reserved(key: str):
    assert findings_of(text(key)) == {"/nodes/0/key": f"'{key}' is reserved. Choose another key."}


def test_two_nodes_cannot_have_the_same_key():
    assert findings_of(text("a"), text("b"), text("a")) == {"/nodes/2/key": "another node has the key 'a'."}


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": 3601}, "timeout_s"),
        ({"timeout_s": "inf"}, "timeout_s"),
        ({"on_error": "ignore"}, "on_error"),
        ({"name": "n" * 201}, "name"),
        ({"retry": {"max_attempts": 0}}, "retry/max_attempts"),
        ({"retry": {"max_attempts": 21}}, "retry/max_attempts"),
        ({"retry": {"factor": 0.5}}, "retry/factor"),
        ({"retry": {"max_delay_s": 601}}, "retry/max_delay_s"),
    ],
)
def test_what_is_out_of_bounds_is_refused(more: dict[str, Any], place: str):
    assert list(findings_of(text("a", **more))) == [f"/nodes/0/{place}"]


def test_a_pipeline_has_a_bounded_number_of_nodes():
    nodes = [text(f"n{number}") for number in range(10_011)]
    assert list(findings_of(*nodes)) == ["/nodes"]


def test_all_findings_are_told_at_once():
    assert list(findings_of(text("A"), text("b", on_error="x"))) == ["/nodes/0/key", "/nodes/1/on_error"]


def test_a_flood_of_findings_is_cut_but_counted():
    with pytest.raises(InvalidError) as caught:
        document(*(text("A") for _ in range(MOST_FINDINGS + 5)))
    assert len(caught.value.problem.errors) == MOST_FINDINGS
    assert f"{MOST_FINDINGS + 5} findings" in caught.value.problem.detail


@pytest.mark.parametrize("body", [None, [], "name", 7])
def test_what_is_no_object_is_refused(body: Any):
    with pytest.raises(InvalidError, match="the document: "):
        read_document(body)


def test_an_input_schema_must_be_json_schema():
    assert list(findings_of(text("a"), input_schema={"properties": {"x": {"type": "strng"}}})) == [
        "/input_schema/properties/x/type"
    ]


@pytest.mark.parametrize("reference", ["#/$defs/absent", "https://example.com/schema.json", "#absent"])
def test_an_input_schema_refers_only_to_itself(reference: str):
    found = findings_of(text("a"), input_schema={"properties": {"x": {"$ref": reference}}})
    assert list(found) == ["/input_schema/properties/x/$ref"]


def test_a_pattern_of_an_input_schema_must_be_one():
    assert list(findings_of(text("a"), input_schema={"pattern": "("})) == ["/input_schema/pattern"]


CHAIN = {f"a{at}": {"anyOf": [{"$ref": f"#/$defs/a{at + 1}"}] * 2} for at in range(30)}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#"}, "back to itself"),
        ({"properties": {"children": {"items": {"$ref": "#"}}}}, "back to itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}, "back to itself"),
        ({"$ref": "#/$defs/a0", "$defs": CHAIN | {"a30": {"type": "string"}}}, "more than 5000 parts"),
    ],
    ids=["itself", "a tree", "a definition", "doubled thirty times"],
)
def test_an_input_schema_is_bounded(schema: dict[str, Any], words: str):
    found = findings_of(text("a"), input_schema=schema)
    assert list(found) == ["/input_schema"]
    assert words in found["/input_schema"]


def test_an_input_schema_with_definitions_of_its_own_is_taken():
    accept(text("a"), input_schema={"$ref": "#/$defs/person", "$defs": {"person": {"type": "object"}}})
