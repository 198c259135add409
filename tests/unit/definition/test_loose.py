"""Validation tells everything at once, whatever else is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from services.definition.loose import all_findings
from shared.errors import InvalidError
from tests.unit.definition.building import CATALOGUE, findings_of, raw, text


def places(*parts: dict[str, Any] | str, **more: Any) -> set[str]:
    return {finding.pointer for finding in all_findings(raw(*parts, **more), CATALOGUE)}


WRONG_CONFIG = {"key": "w", "type": "text", "config": {"content": "x", "contnt": "y"}}


def test_a_document_without_fault_has_no_findings():
    assert places(text("a"), text("b", "{{ nodes.a.text }}"), "a -> b") == set()


def test_a_broken_graph_hides_no_config():
    found = places(WRONG_CONFIG, text("a"), "a -> a", "a -> gone")
    assert found == {"/nodes/0/config/contnt", "/edges/0", "/edges/1/target"}


def test_a_cycle_is_told_beside_all_else():
    found = places(text("a"), text("b"), WRONG_CONFIG, "a -> b", "b -> a", "a -> gone", input_schema={"type": "strng"})
    assert {"/edges", "/edges/2/target", "/nodes/2/config/contnt", "/input_schema/type"} <= found


def test_a_wrong_shape_hides_neither_configs_nor_cycles():
    found = places({"key": "Bad", "type": "text"}, WRONG_CONFIG, text("a"), text("b"), "a -> b", "b -> a", nme="x")
    assert {"/nme", "/nodes/0/key", "/nodes/1/config/contnt", "/edges"} <= found


def test_a_part_that_cannot_be_read_is_told_of_once_and_missed_by_nobody():
    unreadable = text("a", timeout_s=-1)
    assert places(unreadable, text("b", "{{ nodes.a.text }}"), "a -> b") == {"/nodes/0/timeout_s"}


@pytest.mark.parametrize("nodes", [None, 7, [7], [None, {"key": 5}], {"a": 1}])
def test_what_is_no_list_of_nodes_is_told_as_such(nodes: Any):
    found = all_findings({"name": "x", "nodes": nodes, "edges": [{"source": "a"}, 1]}, CATALOGUE)
    assert {finding.pointer.split("/")[1] for finding in found} == {"nodes", "edges"}


@pytest.mark.parametrize("body", [None, [], "name", 7])
def test_what_is_no_object_has_one_finding(body: Any):
    [finding] = all_findings(body, CATALOGUE)
    assert finding.pointer == ""


def test_what_could_not_be_passed_on_is_read_no_further():
    with pytest.raises(InvalidError, match="the document holds"):
        all_findings(raw(text("a", 2**70)), CATALOGUE)  # type: ignore[arg-type]  # as a foreign program may send it


def test_a_reference_to_nothing_is_told_on_a_broken_graph_and_one_that_is_not_upstream_is_not():
    found = findings_of(text("a", "{{ nodes.gone.text }}"), text("b", "{{ nodes.c.text }}"), text("c"), "a -> a")
    assert list(found) == ["/edges/0", "/nodes/0/config"]
