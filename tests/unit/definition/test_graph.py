"""The graph of a document: no cycles, no loops, no edge twice, no edge to nowhere."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from services.definition.graph import Upstream, find_cycle, parents_of
from shared.contracts.pipelines import EdgeDocument
from tests.unit.definition.building import accept, findings_of, text

A, B, C = text("a"), text("b"), text("c")


def test_a_cycle_is_named_in_the_direction_of_its_edges():
    assert findings_of(A, B, "a -> b", "b -> a") == {
        "/edges": "the graph has a cycle: a -> b -> a. Remove one of these edges."
    }


def test_only_the_nodes_of_a_cycle_are_named():
    detail = findings_of(A, B, C, text("d"), "a -> b", "b -> c", "c -> b", "c -> d")["/edges"]
    assert "b -> c -> b" in detail
    assert "a ->" not in detail


def test_a_node_cannot_lead_to_itself():
    assert findings_of(A, "a -> a") == {"/edges/0": "'a' leads to itself. Remove this edge."}


def test_an_edge_cannot_be_there_twice():
    assert findings_of(A, B, "a -> b", "a -> b") == {"/edges/1": "the edge a -> b is there already, as /edges/0."}


def test_edges_of_different_branches_are_different_edges():
    review = {"key": "r", "type": "review"}
    accept(review, A, "r -accepted-> a", "r -declined-> a")


def test_a_duplicate_names_its_branch():
    detail = findings_of({"key": "r", "type": "review"}, A, "r -accepted-> a", "r -accepted-> a")["/edges/1"]
    assert detail == "the edge r -> a of branch 'accepted' is there already, as /edges/0."


def test_both_ends_of_an_edge_must_exist():
    assert findings_of(A, "x -> y") == {
        "/edges/0/source": "there is no node 'x'. Add it or correct the key.",
        "/edges/0/target": "there is no node 'y'. Add it or correct the key.",
    }


def test_a_diamond_is_no_cycle():
    accept(A, B, C, text("d"), "a -> b", "a -> c", "b -> d", "c -> d")


@pytest.mark.parametrize("seed", range(20))
def test_a_cycle_that_is_found_is_one(seed: int):
    random = Random(seed)
    keys = [f"n{number}" for number in range(12)]
    pairs = [random.sample(keys, 2) for _ in range(14)]
    parents = parents_of(keys, [EdgeDocument(source=source, target=target) for source, target in pairs])
    cycle = find_cycle(parents)
    assert cycle is None or (cycle[0] == cycle[-1] and all([a, b] in pairs for a, b in itertools.pairwise(cycle)))


@pytest.mark.parametrize("seed", range(20))
def test_edges_that_all_lead_forward_have_no_cycle(seed: int):
    random = Random(seed)
    keys = [f"n{number:02}" for number in range(12)]
    pairs = [sorted(random.sample(keys, 2)) for _ in range(30)]
    assert find_cycle(parents_of(keys, [EdgeDocument(source=a, target=b) for a, b in pairs])) is None


def test_a_long_chain_costs_no_recursion():
    keys = [f"n{number}" for number in range(20_000)]
    edges = [EdgeDocument(source=a, target=b) for a, b in itertools.pairwise(keys)]
    parents = parents_of(keys, edges)
    assert find_cycle(parents) is None
    assert Upstream(parents).is_upstream("n0", "n19999")


def test_upstream_means_through_any_number_of_edges():
    upstream = Upstream({"a": [], "b": ["a"], "c": ["b"], "d": []})
    assert [upstream.is_upstream(key, "c") for key in "abcd"] == [True, True, False, False]
