"""Flat answers as documents: attributes, relationships, links, and what is included once."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from services.gateway.jsonapi.documents import document_of
from services.gateway.jsonapi.places import place_of
from services.gateway.jsonapi.queries import read_query
from shared.contracts.rest import PREFIX

P = "01890a5d-ac96-774b-bcce-b302099a8057"
R = "01890a5d-ac96-774b-bcce-b302099a8058"
GRAPH: dict[str, Any] = {
    "nodes": [{"key": "a", "type": "text", "config": {}}, {"key": "b", "type": "llm", "config": {"prompt": "x"}}],
    "edges": [
        {"source": "a", "target": "b", "branch": None},
        {"source": "a", "target": "b", "branch": "error"},
    ],
}
PIPELINE: dict[str, Any] = {"id": P, "slug": "x", "name": "X", "revision": 3}
RESULT: dict[str, Any] = {
    "node_key": "a",
    "node_type": "text",
    "attempts": [{"attempt": 1, "outcome": "failed"}, {"attempt": 2, "outcome": "completed"}],
}


def answered(request_line: str, flat: Any) -> dict[str, Any]:
    method, _, rest = request_line.partition(" ")
    path, _, query = rest.partition("?")
    place = place_of(method, PREFIX + path)
    return document_of(flat, place, read_query(query, place), PREFIX + path, query)


def names(resources: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(resource["type"], resource["id"]) for resource in resources]


def test_a_resource_has_its_type_its_id_and_its_link():
    data = answered("GET /pipelines/x", PIPELINE)["data"]
    assert (data["type"], data["id"], data["links"]) == ("pipelines", P, {"self": f"{PREFIX}/pipelines/{P}"})


def test_what_is_neither_id_nor_relationship_is_an_attribute():
    data = answered("GET /pipelines/x", PIPELINE | GRAPH | {"added_later": 1})["data"]
    assert data["attributes"] == {"slug": "x", "name": "X", "revision": 3, "added_later": 1}


@pytest.mark.parametrize("name", ["nodes", "edges", "versions", "pipeline_runs"])
def test_relationships_lead_to_what_they_name(name: str):
    found = answered("GET /pipelines/x", PIPELINE | GRAPH)["data"]["relationships"][name]
    assert found.keys() == {"links"}
    assert unquote(found["links"]["related"]) in {
        f"{PREFIX}/pipelines/{P}/{name}",
        f"{PREFIX}/pipeline_runs?filter[pipeline_id]={P}",
    }


def test_what_is_included_is_named_and_stands_there_once():
    document = answered("GET /pipelines/x?include=edges,nodes,nodes", PIPELINE | GRAPH)
    named = [
        *document["data"]["relationships"]["nodes"]["data"],
        *document["data"]["relationships"]["edges"]["data"],
    ]
    assert names(document["included"]) == names(named)
    assert names(named) == [
        ("nodes", f"{P}:a"),
        ("nodes", f"{P}:b"),
        ("edges", f"{P}:a.b"),
        ("edges", f"{P}:a.b.error"),
    ]


def test_an_edge_names_its_ends_and_has_no_field_of_a_reserved_name():
    edge = answered("GET /pipelines/x?include=edges", PIPELINE | GRAPH)["included"][1]
    assert edge["attributes"] == {"branch": "error"}
    assert edge["relationships"]["target"] == {
        "data": {"type": "nodes", "id": f"{P}:b"},
        "links": {"related": f"{PREFIX}/pipelines/{P}/nodes/b"},
    }
    assert edge["links"]["self"] == f"{PREFIX}/pipelines/{P}/edges/a.b.error"


def test_a_branch_is_escaped_in_links():
    flat = {"id": "a.b.x/ü", "pipeline_id": P, "revision": 1, "source": "a", "target": "b", "branch": "x/ü"}
    assert answered("GET /pipelines/x/edges/a", flat)["data"]["links"]["self"].endswith("/edges/a.b.x%2F%C3%BC")


def test_the_type_of_a_node_is_its_node_type():
    node = answered("GET /pipelines/x?include=nodes", PIPELINE | GRAPH)["included"][1]
    assert node["attributes"] == {"key": "b", "node_type": "llm", "config": {"prompt": "x"}}


def test_a_node_by_itself_is_the_node_that_was_included():
    flat = {"pipeline_id": P, "revision": 3, **GRAPH["nodes"][0]}
    alone = answered("GET /pipelines/x/nodes/a", flat)["data"]
    included = answered("GET /pipelines/x?include=nodes", PIPELINE | GRAPH)["included"][0]
    assert alone.pop("meta") == {"revision": 3}
    assert alone == included


def test_nothing_is_included_unless_it_is_asked_for():
    assert "included" not in answered("GET /pipelines/x", PIPELINE | GRAPH)


def test_what_was_asked_for_and_is_empty_is_told_so():
    document = answered("GET /pipelines/x?include=nodes", PIPELINE | {"nodes": [], "edges": []})
    assert (document["included"], document["data"]["relationships"]["nodes"]["data"]) == ([], [])


def test_attempts_are_included_through_node_results():
    flat = {"id": R, "pipeline_id": P, "status": "completed", "node_results": [RESULT]}
    included = answered(f"GET /pipeline_runs/{R}?include=node_results.attempts", flat)["included"]
    assert sorted(names(included)) == [
        ("attempts", f"{R}:a:1"),
        ("attempts", f"{R}:a:2"),
        ("node_results", f"{R}:a"),
    ]


def test_a_list_of_node_results_names_its_run_by_the_path():
    document = answered(f"GET /pipeline_runs/{R}/node_results", {"node_results": [RESULT], "next_after": None})
    [found] = document["data"]
    assert found["id"] == f"{R}:a"
    assert found["relationships"]["pipeline_run"]["data"] == {"type": "pipeline_runs", "id": R}
    assert names(found["relationships"]["attempts"]["data"]) == [("attempts", f"{R}:a:1"), ("attempts", f"{R}:a:2")]


def test_a_relationship_to_nothing_is_null():
    found = answered(f"GET /pipeline_runs/{R}", {"id": R, "pipeline_id": None, "retry_of": None})["data"]
    assert found["relationships"]["pipeline"] == found["relationships"]["retry_of"] == {"data": None}


def test_a_run_that_is_only_just_known_is_told_as_far_as_it_is():
    data = answered("POST /pipelines/x/execute", {"id": R, "status": "pending"})["data"]
    assert (data["id"], data["attributes"]) == (R, {"status": "pending"})
    assert data["relationships"].keys() == {"node_results"}


def test_only_the_fields_that_are_asked_for_are_shown():
    document = answered("GET /pipelines/x?include=nodes&fields[pipelines]=name,edges&fields[nodes]=", PIPELINE | GRAPH)
    assert document["data"]["attributes"] == {"name": "X"}
    assert document["data"]["relationships"].keys() == {"edges"}
    assert document["included"][0] == {
        "type": "nodes",
        "id": f"{P}:a",
        "links": {"self": f"{PREFIX}/pipelines/{P}/nodes/a"},
    }


@pytest.mark.parametrize(
    ("next_after", "link"),
    [("x", f"{PREFIX}/pipelines?page[limit]=1&page[after]=x"), (None, None)],
)
def test_a_list_leads_to_its_next_page(next_after: str | None, link: str | None):
    document = answered("GET /pipelines?page[limit]=1", {"pipelines": [PIPELINE], "next_after": next_after})
    assert names(document["data"]) == [("pipelines", P)]
    assert (unquote(document["links"]["next"]) if document["links"]["next"] else None) == link
    assert unquote(document["links"]["first"]) == f"{PREFIX}/pipelines?page[limit]=1"


def test_a_list_without_pages_has_no_links_to_any():
    document = answered("GET /node_types", {"node_types": [{"node_type": "text", "title": "Text"}]})
    assert names(document["data"]) == [("node_types", "text")]
    assert document["links"] == {"self": f"{PREFIX}/node_types"}


@pytest.mark.parametrize(
    ("request_line", "flat"),
    [
        ("GET /health", {"status": "ok"}),
        ("POST /pipelines/x/validate", {"is_valid": True, "errors": []}),
        ("GET /pipelines/x/export", {"name": "x", "nodes": [], "edges": []}),
        ("GET /pipelines/x", {"something": "else"}),
        ("GET /pipelines", {"something": "else"}),
    ],
)
def test_what_is_no_resource_is_told_in_meta(request_line: str, flat: dict[str, Any]):
    document = answered(request_line, flat)
    assert document["meta"] == flat
    assert not {"data", "included", "errors"} & document.keys()


def test_a_link_to_itself_is_for_what_can_be_read_again():
    assert answered("GET /pipelines/x", PIPELINE)["links"] == {"self": f"{PREFIX}/pipelines/x"}
    assert "links" not in answered("POST /pipelines", PIPELINE)
