"""Nodes against the catalogue: types, configs, branches and references."""

from __future__ import annotations

from typing import Any

import pytest

from services.definition.validation import branches_of, check
from shared.errors import InvalidError
from tests.unit.definition.building import CATALOGUE, accept, condition, document, findings_of, text


def test_an_unknown_type_names_the_nearest_one():
    found = findings_of({"key": "a", "type": "txt"})
    assert found["/nodes/0/type"].startswith("node 'a' has the unknown type 'txt'. Did you mean 'text'?")


def test_an_unknown_type_lists_what_is_known():
    found = findings_of({"key": "a", "type": "zzzz"})
    assert found["/nodes/0/type"].endswith("Known are: condition, llm, review, text, transform.")


def test_without_any_worker_the_words_say_so():
    with pytest.raises(InvalidError, match="Known are: none; start a worker first"):
        check(document(text("a")), {})


@pytest.mark.parametrize(
    ("node", "pointer"),
    [
        ({"key": "a", "type": "text", "config": {"contnt": "x", "content": "y"}}, "/nodes/0/config/contnt"),
        ({"key": "a", "type": "text", "config": {}}, "/nodes/0/config"),
        ({"key": "a", "type": "text", "config": {"content": 7}}, "/nodes/0/config/content"),
        ({"key": "a", "type": "llm", "config": {"prompt": "x", "temperature": 9}}, "/nodes/0/config/temperature"),
        ({"key": "a", "type": "llm", "config": {"prompt": "x", "images": ["a", 2]}}, "/nodes/0/config/images/1"),
        ({"key": "a", "type": "text", "config": {"content": "{{ x"}}, "/nodes/0/config/content"),
    ],
    ids=["unknown field", "missing field", "wrong type", "out of bounds", "inside a list", "no template"],
)
def test_a_config_finding_has_its_place_and_its_node(node: dict[str, Any], pointer: str):
    found = findings_of(node)
    assert list(found) == [pointer]
    assert found[pointer].startswith("node 'a': ")


def test_the_same_fault_in_two_nodes_is_told_of_both():
    assert list(findings_of(text("a", "{{ x"), text("b", "{{ x"))) == [
        "/nodes/0/config/content",
        "/nodes/1/config/content",
    ]


def test_a_condition_with_cases_has_their_branches_and_a_default():
    node = condition("c", cases=[{"branch": "high", "when": "input.score > 8"}])
    accept(node, text("a"), text("b"), "c -high-> a", "c -default-> b")


def test_a_condition_with_one_expression_is_true_or_false():
    accept(condition("c", expression="input.ok"), text("a"), text("b"), "c -true-> a", "c -false-> b")


def test_an_unknown_branch_names_those_that_there_are():
    assert findings_of(condition("c", expression="input.ok"), text("a"), "c -yes-> a") == {
        "/edges/0/branch": "node 'c' has no branch 'yes'. It has: true, false, error."
    }


def test_a_type_without_branches_has_only_the_error_edge():
    accept(text("a"), text("b"), "a -error-> b")
    assert findings_of(text("a"), text("b"), "a -true-> b") == {
        "/edges/0/branch": "node 'a' has no branch 'true'. It has: error."
    }


def test_a_type_may_name_its_branches_itself():
    node = document({"key": "r", "type": "review"}).nodes[0]
    assert branches_of(node, CATALOGUE["review"]) == ["accepted", "declined"]


def test_a_failure_is_handled_in_one_way_only():
    found = findings_of(text("a", on_error="continue"), text("b"), "a -error-> b")
    assert found == {"/edges/0/branch": "node 'a' has on_error 'continue' and an error edge. Keep one of them."}


def test_a_reference_upstream_is_taken_however_far():
    accept(text("a"), text("b"), text("c", "{{ nodes.a.text }}"), "a -> b", "b -> c")


@pytest.mark.parametrize("edges", [(), ("b -> a",)], ids=["beside it", "below it"])
def test_a_reference_that_is_not_upstream_says_which_edges_are_missing(edges: tuple[str, ...]):
    found = findings_of(text("a"), text("b", "{{ nodes.a.text }}"), *edges)
    assert found == {
        "/nodes/1/config": "node 'b' refers to 'a', which is not upstream of it. "
        "Add edges that lead from 'a' to 'b', or take the reference out."
    }


def test_a_node_cannot_refer_to_itself():
    assert "not upstream" in findings_of(text("a", "{{ nodes.a.text }}"))["/nodes/0/config"]


def test_a_reference_to_nothing_names_what_was_perhaps_meant():
    found = findings_of(text("draft"), text("b", "{{ nodes.draf.text }}"), "draft -> b")
    assert found == {"/nodes/1/config": "node 'b' refers to 'draf', which does not exist. Did you mean 'draft'?"}


def test_previous_needs_an_edge_that_leads_to_the_node():
    assert findings_of(text("a", "{{ previous.text }}")) == {
        "/nodes/0/config": "node 'a' refers to 'previous', but no edge leads to it."
    }
