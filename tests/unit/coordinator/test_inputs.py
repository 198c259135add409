"""Inputs: a node is sent what its templates name, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from services.coordinator.graph import Graph
from services.coordinator.inputs import Ended, build_inputs, needed_nodes
from shared.contracts.nodes import NodeInputs
from shared.contracts.pipelines import References
from shared.contracts.states import NodeStatus
from tests.unit.coordinator.building import graph_of, node

ERROR = {"code": "broken", "message": "a is broken"}
A_DONE = Ended(NodeStatus.COMPLETED, {"text": "hello", "usage": {"tokens": 3}})


def after(source_lines: tuple[str, ...] = ("a -> n",), **references: Any) -> Graph:
    return graph_of(*source_lines, n=node(references=References(**references)))


def inputs(graph: Graph, **ended: Ended) -> dict[str, Any]:
    return build_inputs(graph, "n", {"name": "Ada"}, ended.get)


def test_a_node_that_refers_to_nothing_gets_nothing():
    assert inputs(after(), a=A_DONE) == {"input": {}, "nodes": {}}


def test_a_node_that_refers_to_the_input_gets_it_whole():
    assert inputs(after(input=True))["input"] == {"name": "Ada"}


def test_only_the_named_fields_of_an_output_are_sent():
    sent = inputs(after(nodes={"a": ["text", "absent"]}), a=A_DONE)
    assert sent["nodes"]["a"]["output"] == {"text": "hello"}


def test_a_reference_to_the_whole_output_gets_it_whole():
    assert inputs(after(nodes={"a": None}), a=A_DONE)["nodes"]["a"]["output"] == A_DONE.output


def test_a_skipped_node_is_named_with_its_status_and_no_output():
    sent = inputs(after(nodes={"a": ["text"]}), a=Ended(NodeStatus.SKIPPED))
    assert sent["nodes"]["a"] == {"status": "skipped", "output": None, "error": None}


def test_a_failed_node_is_named_with_its_error():
    sent = inputs(after(nodes={"a": ["text"]}), a=Ended(NodeStatus.FAILED, None, ERROR))
    assert sent["nodes"]["a"] == {"status": "failed", "output": None, "error": ERROR}


def test_previous_is_the_only_live_predecessor():
    graph = after(("a -> n", "b -> n"), previous=True)
    sent = inputs(graph, a=A_DONE, b=Ended(NodeStatus.SKIPPED))
    assert (sent["previous"], sent["nodes"]["a"]["output"]) == ("a", A_DONE.output)


@pytest.mark.parametrize("b", [A_DONE, Ended(NodeStatus.COMPLETED, {})], ids=["with output", "without"])
def test_two_live_predecessors_are_no_previous(b: Ended):
    assert inputs(after(("a -> n", "b -> n"), previous=True), a=A_DONE, b=b)["previous"] is None


def test_a_branch_that_was_not_taken_is_no_previous():
    graph = after(("a -yes-> n",), previous=True)
    assert inputs(graph, a=Ended(NodeStatus.COMPLETED, {"branch": "no"}))["previous"] is None


def test_a_failed_predecessor_is_previous_by_its_error_edge():
    graph = after(("a -error-> n",), previous=True)
    assert inputs(graph, a=Ended(NodeStatus.FAILED, None, ERROR))["nodes"]["a"]["error"] == ERROR


def test_what_is_sent_is_what_the_contract_says():
    graph = after(("a -> n",), input=True, previous=True, nodes={"a": ["text"]})
    assert NodeInputs.model_validate(inputs(graph, a=A_DONE)).nodes["a"].status is NodeStatus.COMPLETED


def test_previous_needs_all_predecessors_and_names_none_twice():
    graph = after(("a -> n", "b -> n", "x -> a"), previous=True, nodes={"a": ["text"], "x": None})
    assert sorted(needed_nodes(graph, "n")) == ["a", "b", "x"]


@pytest.mark.parametrize("output", [None, {}, {"branch": 1}, {"branch": None}])
def test_an_output_without_a_name_for_its_branch_chooses_none(output: dict[str, Any] | None):
    assert Ended(NodeStatus.COMPLETED, output).branch is None
