"""Documents that are sent, as flat bodies; and what of them is refused, with its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.jsonapi.documents import document_of
from services.gateway.jsonapi.places import place_of
from services.gateway.jsonapi.queries import read_query
from services.gateway.jsonapi.refusals import BadDocumentError, OtherResourceError, OwnIdError
from services.gateway.jsonapi.requests import Sent, flat_body
from shared.contracts.rest import PREFIX
from shared.errors import ServiceError

P = "01890a5d-ac96-774b-bcce-b302099a8057"
A = {"type": "nodes", "lid": "1"}
B = {"type": "nodes", "id": f"{P}:b"}
E = {"type": "edges", "lid": "1"}
NODES = [
    A | {"attributes": {"key": "a", "node_type": "text", "config": {"content": "x"}}},
    B | {"attributes": {"key": "b", "node_type": "llm"}},
]
EDGE = E | {
    "attributes": {"branch": "error"},
    "relationships": {"source": {"data": A}, "target": {"data": B}},
}


def sent(request_line: str, document: Any) -> Sent:
    method, path = request_line.split(" ")
    return flat_body(document, place_of(method, PREFIX + path))


def resource(kind: str, **members: Any) -> dict[str, Any]:
    return {"data": {"type": kind, **members}}


def graph(nodes: list[Any], edges: list[Any], included: list[Any]) -> dict[str, Any]:
    relationships = {"nodes": {"data": nodes}, "edges": {"data": edges}}
    return resource("pipelines", attributes={"name": "X"}, relationships=relationships) | {"included": included}


@pytest.mark.parametrize(
    ("request_line", "document", "flat"),
    [
        ("POST /pipelines", resource("pipelines", attributes={"name": "X"}), {"name": "X"}),
        ("POST /pipelines", resource("pipelines"), {}),
        ("POST /pipelines/validate", resource("pipelines", attributes={"name": "X"}), {"name": "X"}),
        (
            "POST /pipelines",
            resource("pipelines", attributes={"name": "X", "nodes": [{"key": "a", "type": "text"}]}),
            {"name": "X", "nodes": [{"key": "a", "type": "text"}]},
        ),
        (
            "PUT /pipelines/x",
            resource("pipelines", id=P, attributes={"name": "X"}, relationships={"nodes": {"links": {}}}),
            {"name": "X"},
        ),
        (
            "POST /pipelines/x/nodes",
            resource("nodes", attributes={"key": "a", "node_type": "text"}, relationships={"pipeline": {"data": None}}),
            {"key": "a", "type": "text"},
        ),
        (
            "PUT /pipelines/x/nodes/a",
            resource("nodes", id=f"{P}:a", attributes={"key": "a", "node_type": "text"}),
            {"key": "a", "type": "text"},
        ),
        (
            "POST /pipelines/x/edges",
            resource("edges", relationships={"source": {"data": B}, "target": {"data": B | {"id": "c"}}}),
            {"source": "b", "target": "c"},
        ),
        ("POST /pipelines/x/execute", {}, {}),
        ("POST /pipelines/x/execute", {"data": None}, {}),
        ("POST /pipelines/x/execute", {"meta": {}}, {}),
        (
            "POST /pipelines/x/execute",
            resource("pipeline_runs", id=P, attributes={"input": {"type": 1}}),
            {"input": {"type": 1}, "run_id": P},
        ),
        (
            "POST /pipeline_runs/7/cancel",
            resource("pipeline_runs", id="7", attributes={"reason": "late"}),
            {"reason": "late"},
        ),
        ("POST /pipelines/x/later", resource("whatever", attributes={"a": 1}), {"a": 1}),
        (
            "POST /api_keys",
            resource("api_keys", attributes={"name": "x", "scopes": ["admin"]}),
            {"name": "x", "scopes": ["admin"]},
        ),
    ],
)
def test_attributes_are_the_flat_body(request_line: str, document: Any, flat: dict[str, Any]):
    assert sent(request_line, document).flat == flat


def test_what_relationships_name_is_taken_from_included():
    assert sent("POST /pipelines", graph([A, B], [E], [EDGE, *NODES])).flat == {
        "name": "X",
        "nodes": [
            {"key": "a", "type": "text", "config": {"content": "x"}},
            {"key": "b", "type": "llm"},
        ],
        "edges": [{"branch": "error", "source": "a", "target": "b"}],
    }


def test_the_places_of_all_parts_are_remembered():
    places = sent("POST /pipelines", graph([A, B], [E], [EDGE, *NODES])).places
    expected = {
        "": "/data/attributes",
        "/nodes": "/data/relationships/nodes/data",
        "/nodes/1": "/included/2/attributes",
        "/nodes/1/type": "/included/2/attributes/node_type",
        "/edges/0": "/included/0/attributes",
        "/edges/0/source": "/included/0/relationships/source/data",
    }
    assert {flat: places[flat] for flat in expected} == expected


CREATE = "POST /pipelines"
EXECUTE = "POST /pipelines/x/execute"


@pytest.mark.parametrize(
    ("request_line", "document", "pointer", "words"),
    [
        (CREATE, [], "", "must be an object"),
        (CREATE, None, "", "must be an object"),
        (CREATE, {}, "/data", "Send its type and its attributes"),
        (CREATE, {"data": []}, "/data", "must be one resource object"),
        (EXECUTE, {"data": []}, "/data", "must be one resource object"),
        (CREATE, {"data": {}}, "/data/type", "must name the type"),
        (CREATE, resource("pipelines", attributes=[]), "/data/attributes", "must be an object"),
        (CREATE, resource("pipelines", attributes={"id": P}), "/data/attributes/id", "cannot be an attribute"),
        (
            "POST /pipelines/x/nodes",
            resource("nodes", attributes={"type": "text"}),
            "/data/attributes/type",
            "Call it 'node_type'",
        ),
        (CREATE, resource("pipelines", relationships=1), "/data/relationships", "must be an object"),
        (
            CREATE,
            resource("pipelines", relationships={"books": {"data": []}}),
            "/data/relationships/books",
            "It has: nodes, edges",
        ),
        (
            CREATE,
            resource("pipelines", relationships={"nodes": []}),
            "/data/relationships/nodes",
            "must be an object with 'data'",
        ),
        (CREATE, graph([A], [], []), "/data/relationships/nodes/data/0", "is not in 'included'"),
        (CREATE, graph([{"type": "nodes"}], [], []), "/data/relationships/nodes/data/0", "must be an identifier"),
        (CREATE, graph([], [], [NODES[0]]), "/included/0", "is named by no relationship"),
        (CREATE, graph([A], [], [NODES[0], 7]), "/included/1", "must be a resource object"),
        (CREATE, resource("pipelines") | {"included": {}}, "/included", "must be an array"),
        (
            CREATE,
            resource("pipelines", attributes={"nodes": []}, relationships={"nodes": {"data": []}}),
            "/data/relationships/nodes",
            "is an attribute too",
        ),
        (
            CREATE,
            resource("pipelines", relationships={"nodes": {"data": None}}),
            "/data/relationships/nodes/data",
            "must be an array of identifiers",
        ),
        (
            "POST /pipelines/x/edges",
            resource("edges", relationships={"source": {"data": A}}),
            "/data/relationships/source/data",
            "Send its id, or its lid",
        ),
        (
            "POST /pipelines/x/edges",
            resource("edges", relationships={"source": {"data": None}}),
            "/data/relationships/source/data",
            "must be an identifier",
        ),
        (
            EXECUTE,
            resource("pipeline_runs", id=P, attributes={"run_id": "7"}),
            "/data/id",
            "differs from the attribute 'run_id'",
        ),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(request_line: str, document: Any, pointer: str, words: str):
    found = refusal(request_line, document, BadDocumentError)
    assert found.problem.status == 400
    assert found.problem.errors[0].pointer == pointer
    assert words in str(found)


@pytest.mark.parametrize("request_line", [CREATE, "POST /pipelines/validate", "POST /pipelines/x/nodes"])
def test_an_id_of_the_clients_choice_is_forbidden(request_line: str):
    kind = "nodes" if "nodes" in request_line else "pipelines"
    assert refusal(request_line, resource(kind, id=P), OwnIdError).problem.status == 403


@pytest.mark.parametrize(
    ("request_line", "document", "pointer"),
    [
        (CREATE, resource("nodes"), "/data/type"),
        (CREATE, graph([E], [], []), "/data/relationships/nodes/data/0/type"),
        (f"PUT /pipelines/{P}", resource("pipelines", id=P[:-1] + "0"), "/data/id"),
        ("PUT /pipelines/x/nodes/a", resource("nodes", id=f"{P}:b"), "/data/id"),
        ("PUT /pipelines/x/nodes/a", resource("nodes", id=7), "/data/id"),
    ],
)
def test_another_resource_than_the_one_of_the_path_is_a_conflict(request_line: str, document: Any, pointer: str):
    found = refusal(request_line, document, OtherResourceError)
    assert (found.problem.status, found.problem.errors[0].pointer) == (409, pointer)


@pytest.mark.parametrize("path", [f"/pipelines/{P}", f"/pipelines/{P.upper()}", "/pipelines/a-slug"])
def test_the_id_of_the_path_may_be_sent(path: str):
    assert sent(f"PUT {path}", resource("pipelines", id=P)).flat == {}


KEYS = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), min_size=1, max_size=6, unique=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Nodes and edges as a flat answer has them."""
    keys = draw(KEYS)
    configs = st.dictionaries(st.text(), VALUES, max_size=3)
    names = st.tuples(st.sampled_from(keys), st.sampled_from(keys), st.none() | st.text(min_size=1, max_size=5))
    return {
        "nodes": [
            {"key": key, "type": draw(st.sampled_from(["text", "llm"])), "config": draw(configs)} for key in keys
        ],
        "edges": [
            {"source": source, "target": target, "branch": branch}
            for source, target, branch in draw(
                st.lists(names, max_size=8, unique_by=lambda found: ".".join(map(str, found)))
            )
        ],
    }


@given(graphs())
def test_what_was_read_with_all_it_includes_can_be_sent_back(graph: dict[str, Any]):
    path, query = f"{PREFIX}/pipelines/x", "include=nodes,edges&fields[pipelines]=nodes,edges"
    place = place_of("GET", path)
    document = document_of({"id": P, **graph}, place, read_query(query, place), path, query)
    assert sent("PUT /pipelines/x", document).flat == graph


def refusal(request_line: str, document: Any, kind: type[ServiceError]) -> ServiceError:
    with pytest.raises(kind) as caught:
        sent(request_line, document)
    return caught.value
