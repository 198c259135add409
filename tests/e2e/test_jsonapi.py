"""What a JSON:API client does: every answer is checked against the JSON Schema of JSON:API 1.1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import httpx
import orjson
import pytest
from jsonschema import Draft202012Validator

from shared.clock import new_id
from tests.e2e.graphs import edge, pipeline, text
from tests.stack import API_KEY, Stack

MEDIA_TYPE = "application/vnd.api+json"
SCHEMA = Draft202012Validator(orjson.loads(Path(__file__).with_name("jsonapi_schema.json").read_bytes()))


class JsonApiClient:
    """Speaks JSON:API alone, and believes no answer that does not fit the schema."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, status: int = 200) -> Any:
        return self.checked(await self._client.get(path.removeprefix("/api/v3")), status)

    async def send(self, method: str, path: str, document: Any = None, status: int = 200, **headers: str) -> Any:
        content = orjson.dumps(document) if document is not None else None
        brought = {"content-type": MEDIA_TYPE} if document is not None else {}
        self.last = await self._client.request(method, path, content=content, headers=brought | headers)
        return self.checked(self.last, status)

    def checked(self, answer: httpx.Response, status: int) -> Any:
        assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE), answer.text
        document = answer.json()
        assert [error.message for error in SCHEMA.iter_errors(document)] == []
        assert_full_linkage(document)
        return document


def assert_full_linkage(document: dict[str, Any]) -> None:
    """Nothing stands twice in a document, and all that is included is named in it."""
    data = document.get("data") or []
    primary = data if isinstance(data, list) else [data]
    included = document.get("included", [])
    all_names = [(item["type"], item["id"]) for item in [*primary, *included]]
    assert len(all_names) == len(set(all_names))
    named = {
        (item["type"], item["id"])
        for resource in [*primary, *included]
        for relationship in resource.get("relationships", {}).values()
        for item in _listed(relationship.get("data"))
    }
    assert {(item["type"], item["id"]) for item in included} <= named


def _listed(data: Any) -> list[Any]:
    return data if isinstance(data, list) else [data] if data is not None else []


@pytest.fixture(scope="session")
async def jsonapi(stack: Stack) -> AsyncIterator[JsonApiClient]:
    headers = {"authorization": f"Bearer {API_KEY}", "accept": MEDIA_TYPE}
    async with httpx.AsyncClient(base_url=f"{stack.gateway}/api/v3", headers=headers, timeout=90) as client:
        yield JsonApiClient(client)


def node(lid: str, key: str, content: str, node_type: str = "text") -> dict[str, Any]:
    return {
        "type": "nodes",
        "lid": lid,
        "attributes": {"key": key, "node_type": node_type, "config": {"content": content}},
    }


def two_nodes(slug: str) -> dict[str, Any]:
    """hello -> shout."""
    joined = {"source": {"data": {"type": "nodes", "lid": "1"}}, "target": {"data": {"type": "nodes", "lid": "2"}}}
    return {
        "data": {
            "type": "pipelines",
            "attributes": {"name": slug, "slug": slug},
            "relationships": {
                "nodes": {"data": [{"type": "nodes", "lid": "1"}, {"type": "nodes", "lid": "2"}]},
                "edges": {"data": [{"type": "edges", "lid": "1"}]},
            },
        },
        "included": [
            node("1", "hello", "Hello {{ input.who }}"),
            node("2", "shout", "{{ previous.text | upcase }}"),
            {"type": "edges", "lid": "1", "relationships": joined},
        ],
    }


async def test_pipeline_is_created_read_executed_and_deleted(jsonapi: JsonApiClient):
    made = await jsonapi.send("POST", "/pipelines?include=nodes,edges", two_nodes("jsonapi-life"), 201)
    assert jsonapi.last.headers["location"] == made["data"]["links"]["self"]
    assert jsonapi.last.headers["etag"]

    found = await jsonapi.get("/pipelines/jsonapi-life?include=nodes,edges")
    assert (found["data"], found["included"]) == (made["data"], made["included"])
    own_id = made["data"]["id"]
    assert [item["id"] for item in found["included"]] == [
        f"{own_id}:hello",
        f"{own_id}:shout",
        f"{own_id}:hello.shout",
    ]

    published = await jsonapi.send("POST", "/pipelines/jsonapi-life/publish")
    assert published["data"]["attributes"]["status"] == "active"

    run = {"data": {"type": "pipeline_runs", "attributes": {"input": {"who": "you"}}}}
    ended = await jsonapi.send("POST", "/pipelines/jsonapi-life/execute?wait=10", run)
    assert ended["data"]["attributes"]["output"] == {"shout": {"text": "HELLO YOU"}}
    assert ended["data"]["relationships"]["pipeline"]["data"] == {"type": "pipelines", "id": own_id}

    archived = await jsonapi.send("POST", "/pipelines/jsonapi-life/archive", {"meta": {}})
    assert archived["data"]["attributes"]["status"] == "archived"
    refused = await jsonapi.send("POST", "/pipelines/jsonapi-life/execute", status=409)
    assert "archived" in refused["errors"][0]["detail"]


async def test_both_representations_are_of_one_pipeline(jsonapi: JsonApiClient, api: httpx.AsyncClient):
    await jsonapi.send("POST", "/pipelines", two_nodes("jsonapi-same"), 201)
    flat = await api.get("/pipelines/jsonapi-same")
    assert flat.headers["content-type"] == "application/json"
    body = flat.json()
    assert [(item["key"], item["type"]) for item in body["nodes"]] == [("hello", "text"), ("shout", "text")]
    document = await jsonapi.get("/pipelines/jsonapi-same")
    assert document["data"]["attributes"] == {
        name: value for name, value in body.items() if name not in ("id", "nodes", "edges")
    }


async def test_links_of_included_resources_can_be_followed(jsonapi: JsonApiClient):
    await jsonapi.send("POST", "/pipelines", two_nodes("jsonapi-links"), 201)
    document = await jsonapi.get("/pipelines/jsonapi-links?include=nodes,edges")
    for resource in document["included"]:
        found = (await jsonapi.get(resource["links"]["self"]))["data"]
        assert found.pop("meta") == {"revision": 1}
        assert found == resource
    for relationship in document["data"]["relationships"].values():
        await jsonapi.get(relationship["links"]["related"])


async def test_single_nodes_and_edges_are_edited(jsonapi: JsonApiClient):
    made = await jsonapi.send("POST", "/pipelines", two_nodes("jsonapi-edits"), 201)
    own_id = made["data"]["id"]
    added = {"data": {"type": "nodes", "attributes": {"key": "third", "node_type": "text", "config": {"content": "3"}}}}
    found = await jsonapi.send("POST", "/pipelines/jsonapi-edits/nodes", added, 201)
    assert found["data"]["id"] == f"{own_id}:third"

    ends = {name: {"data": {"type": "nodes", "id": f"{own_id}:{key}"}} for name, key in ENDS.items()}
    joined = {"data": {"type": "edges", "relationships": ends}}
    found = await jsonapi.send("POST", "/pipelines/jsonapi-edits/edges", joined, 201)
    assert found["data"]["id"] == f"{own_id}:shout.third"

    changed = {"data": {**added["data"], "id": f"{own_id}:third"}}
    stale = await jsonapi.send("PUT", "/pipelines/jsonapi-edits/nodes/third", changed, 412, **{"if-match": '"1"'})
    assert stale["errors"][0]["status"] == "412"
    await jsonapi.send("PUT", "/pipelines/jsonapi-edits/nodes/third", changed)


ENDS = {"source": "shout", "target": "third"}


async def test_pages_are_followed_to_the_end(jsonapi: JsonApiClient):
    for number in range(3):
        await jsonapi.send("POST", "/pipelines", two_nodes(f"jsonapi-page-{number}"), 201)
    document = await jsonapi.get("/pipelines?page[limit]=2&sort=slug&filter[status]=draft&fields[pipelines]=slug")
    slugs = [item["attributes"]["slug"] for item in document["data"]]
    while document["links"]["next"] is not None:
        assert len(document["data"]) == 2
        document = await jsonapi.get(document["links"]["next"])
        assert all(item["attributes"].keys() == {"slug"} for item in document["data"])
        slugs += [item["attributes"]["slug"] for item in document["data"]]
    assert {f"jsonapi-page-{number}" for number in range(3)} <= set(slugs)
    assert slugs == sorted(set(slugs))


async def test_runs_are_filtered_by_pipeline_newest_first(jsonapi: JsonApiClient):
    made = (await jsonapi.send("POST", "/pipelines", two_nodes("jsonapi-runs"), 201))["data"]
    await jsonapi.send("POST", "/pipelines/jsonapi-runs/publish")
    ids = []
    for _ in range(3):
        ids.append(str(new_id()))
        run = {"data": {"type": "pipeline_runs", "id": ids[-1], "attributes": {"input": {"who": "you"}}}}
        await jsonapi.send("POST", "/pipelines/jsonapi-runs/execute?wait=10", run)
    related = made["relationships"]["pipeline_runs"]["links"]["related"]
    found = await jsonapi.get(f"{related}&sort=-created_at&filter[status]=completed")
    assert [item["id"] for item in found["data"]] == ids[::-1]
    second = await jsonapi.get(f"{related}&page[limit]=2&page[after]={ids[1]}")
    assert [item["id"] for item in second["data"]] == ids[:1]


async def test_node_results_and_attempts_are_included(jsonapi: JsonApiClient):
    run = {"data": {"type": "pipeline_runs", "attributes": {"input": {"name": "Ada"}}}}
    ended = (await jsonapi.send("POST", "/pipelines/greeting/execute?wait=10", run))["data"]
    document = await jsonapi.get(f"/pipeline_runs/{ended['id']}?include=node_results.attempts")
    kinds = {item["type"] for item in document["included"]}
    assert kinds == {"node_results", "attempts"}
    assert all(item["id"].startswith(f"{ended['id']}:") for item in document["included"])

    listed = await jsonapi.get(ended["relationships"]["node_results"]["links"]["related"] + "?include=attempts")
    assert {(item["type"], item["id"]) for item in [*listed["data"], *listed["included"]]} == {
        (item["type"], item["id"]) for item in document["included"]
    }
    alone = await jsonapi.get(listed["data"][0]["links"]["self"])
    assert alone["data"] == listed["data"][0]


async def test_versions_node_types_and_keys_are_resources(jsonapi: JsonApiClient):
    await jsonapi.send("POST", "/pipelines", two_nodes("jsonapi-versions"), 201)
    await jsonapi.send("POST", "/pipelines/jsonapi-versions/publish")
    [version] = (await jsonapi.get("/pipelines/jsonapi-versions/versions"))["data"]
    assert (await jsonapi.get(version["links"]["self"]))["data"]["id"] == version["id"]
    assert "text" in {item["id"] for item in (await jsonapi.get("/node_types"))["data"]}

    wanted = {"data": {"type": "api_keys", "attributes": {"name": "jsonapi", "scopes": ["runs:read"]}}}
    key = (await jsonapi.send("POST", "/api_keys", wanted, 201))["data"]
    assert key["attributes"]["key"]
    assert "key" not in (await jsonapi.get(key["links"]["self"]))["data"]["attributes"]


async def test_what_is_no_resource_is_told_in_meta(jsonapi: JsonApiClient):
    assert (await jsonapi.get("/health"))["meta"] == {"status": "ok"}
    found = await jsonapi.send("POST", "/pipelines/validate", two_nodes("jsonapi-checked"))
    assert found["meta"] == {"is_valid": True, "errors": []}


async def test_a_finding_leads_to_its_place_in_the_document(jsonapi: JsonApiClient):
    document = two_nodes("jsonapi-wrong")
    document["included"][1]["attributes"]["node_type"] = "no_such_type"
    refused = await jsonapi.send("POST", "/pipelines", document, 422)
    assert "/included/1/attributes/node_type" in {error["source"]["pointer"] for error in refused["errors"]}


@pytest.mark.parametrize(
    ("path", "status", "parameter"),
    [
        ("/pipelines?sort=name", 400, "sort"),
        ("/pipelines?fields[pipelines]=naem", 400, "fields[pipelines]"),
        ("/pipelines?page[number]=1", 400, "page[number]"),
        ("/pipelines?page[limit]=0", 422, "page[limit]"),
        ("/pipeline_runs?filter[status]=odd", 422, "filter[status]"),
        ("/pipelines/greeting?include=author", 400, "include"),
    ],
)
async def test_a_wrong_parameter_is_named(jsonapi: JsonApiClient, path: str, status: int, parameter: str):
    [error] = (await jsonapi.get(path, status))["errors"]
    assert error["source"] == {"parameter": parameter}


@pytest.mark.parametrize("path", ["/pipelines/no-such-pipeline", f"/pipeline_runs/{UUID(int=7)}", "/nowhere"])
async def test_what_is_not_there_is_an_error_document(jsonapi: JsonApiClient, path: str):
    [error] = (await jsonapi.get(path, 404))["errors"]
    assert error["status"] == "404"


async def test_media_types_with_parameters_are_refused(jsonapi: JsonApiClient):
    wrong = {"content-type": f"{MEDIA_TYPE};charset=utf-8"}
    await jsonapi.send("POST", "/pipelines", two_nodes("jsonapi-media"), 415, **wrong)
    await jsonapi.send("GET", "/pipelines", None, 406, accept=f"{MEDIA_TYPE};charset=utf-8")


async def test_a_stranger_is_refused_before_the_document_is_read(stack: Stack):
    headers = {"accept": MEDIA_TYPE, "content-type": MEDIA_TYPE}
    async with httpx.AsyncClient(base_url=f"{stack.gateway}/api/v3", headers=headers) as stranger:
        refused = await stranger.post("/pipelines", content=b"no document")
    assert (refused.status_code, refused.headers["content-type"]) == (401, MEDIA_TYPE)
    assert refused.headers["www-authenticate"]


async def test_flat_clients_see_no_difference(api: httpx.AsyncClient):
    made = await api.post(
        "/pipelines", json=pipeline("jsonapi-flat", [text("a", "x"), text("b", "y")], [edge("a", "b")])
    )
    assert (made.status_code, made.headers["content-type"]) == (201, "application/json")
    for accept in ("*/*", "application/json", f"{MEDIA_TYPE};q=0.5, application/json"):
        found = await api.get("/pipelines/jsonapi-flat", headers={"accept": accept})
        assert (found.headers["content-type"], found.json()) == ("application/json", made.json())
    refused = await api.get("/pipelines?limit=0")
    assert refused.headers["content-type"] == "application/problem+json"
    assert unquote(refused.json()["errors"][0]["pointer"]) == "/query/limit"
