"""Drafts edited piece by piece, validated, exported, published, compared and published again."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import yaml

from tests.e2e.graphs import Document, edge, pipeline, text


async def create(api: httpx.AsyncClient, slug: str, *nodes: Document, edges: Any = ()) -> dict[str, Any]:
    made = await api.post("/pipelines", json=pipeline(slug, list(nodes), list(edges)))
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def test_pipeline_is_built_node_by_node(api: httpx.AsyncClient) -> None:
    made = await create(api, "by-parts")
    first = await api.post(
        "/pipelines/by-parts/nodes", json=text("first", "{{ input.word }}", position={"x": 1, "y": 2})
    )
    second = await api.post("/pipelines/by-parts/nodes", json=text("second", "{{ nodes.first.text | upcase }}"))
    joined = await api.post("/pipelines/by-parts/edges", json=edge("first", "second"))

    assert (first.status_code, second.status_code, joined.status_code) == (201, 201, 201)
    assert first.headers["location"] == f"/api/v3/pipelines/{made['id']}/nodes/first"
    assert joined.json()["id"] == "first.second"
    assert (await api.get("/pipelines/by-parts/nodes/first")).json()["position"] == {"x": 1, "y": 2}
    assert [node["key"] for node in (await api.get("/pipelines/by-parts/nodes")).json()["nodes"]] == ["first", "second"]
    await api.post("/pipelines/by-parts/publish")
    run = (await api.post("/pipelines/by-parts/execute?wait=10", json={"input": {"word": "tea"}})).json()
    assert run["output"] == {"second": {"text": "TEA"}}

    changed = await api.put("/pipelines/by-parts/nodes/second", json={"type": "text", "config": {"content": "plain"}})
    assert changed.json()["config"] == {"content": "plain"}
    assert (await api.delete("/pipelines/by-parts/edges/first.second")).status_code == 204
    assert (await api.delete("/pipelines/by-parts/nodes/first")).status_code == 204
    left = (await api.get("/pipelines/by-parts")).json()
    assert ([node["key"] for node in left["nodes"]], left["edges"]) == (["second"], [])


async def test_what_a_draft_lacks_is_told_by_validate_and_by_publish(api: httpx.AsyncClient) -> None:
    await create(api, "unfinished", text("first", "1"))
    await api.post("/pipelines/unfinished/nodes", json=text("second", "{{ nodes.first.text }}"))

    findings = (await api.post("/pipelines/unfinished/validate")).json()
    refused = await api.post("/pipelines/unfinished/publish")

    assert findings["is_valid"] is False
    assert [found["pointer"] for found in findings["errors"]] == ["/nodes/1/config"]
    assert "not upstream" in findings["errors"][0]["detail"]
    assert (refused.status_code, refused.json()["errors"]) == (422, findings["errors"])


async def test_validate_tells_everything_and_saves_nothing(api: httpx.AsyncClient) -> None:
    document = pipeline("never-saved", [text("a", "{{ input.x"), {"key": "b", "type": "txt"}])

    found = await api.post("/pipelines/validate", json=document)

    assert found.status_code == 200
    assert {error["pointer"] for error in found.json()["errors"]} == {"/nodes/0/config/content", "/nodes/1/type"}
    assert (await api.get("/pipelines/never-saved")).status_code == 404
    good = (await api.post("/pipelines/validate", json=pipeline("never-saved", [text("a", "1")]))).json()
    assert good == {"is_valid": True, "errors": []}


async def test_bad_parts_are_refused_with_their_place(api: httpx.AsyncClient) -> None:
    await create(api, "bad-parts", text("a", "1"), text("b", "2"), edges=[edge("a", "b")])
    nodes, edges = "/pipelines/bad-parts/nodes", "/pipelines/bad-parts/edges"
    cases: list[tuple[str, Document, int, str]] = [
        (nodes, text("a", "again"), 409, ""),
        (nodes, {"key": "c", "type": "txt"}, 422, "/type"),
        (nodes, {"key": "c", "type": "text", "config": {"contnt": 1}}, 422, "/config/contnt"),
        (nodes, text("input", "1"), 422, "/key"),
        (nodes, text("c", "1") | {"tiemout_s": 3}, 422, "/tiemout_s"),
        (edges, edge("b", "a"), 422, "/edges"),
        (edges, edge("a", "b"), 422, ""),
        (edges, edge("a", "a"), 422, ""),
        (edges, edge("a", "z"), 422, "/target"),
        (edges, edge("a", "b", "maybe"), 422, "/branch"),
    ]
    for path, body, status, pointer in cases:
        refused = await api.post(path, json=body)
        assert refused.status_code == status, (body, refused.text)
        if status == 422:
            assert refused.json()["errors"][0]["pointer"] == pointer, refused.text
    renamed = await api.put(f"{nodes}/a", json=text("z", "1"))
    assert (renamed.status_code, renamed.json()["type"]) == (422, "key_is_fixed")
    missing = await api.get(f"{nodes}/aa")
    assert (missing.status_code, "Did you mean 'a'?" in missing.json()["detail"]) == (404, True)
    assert (await api.get("/pipelines/bad-parts")).json()["revision"] == 1


async def test_edit_of_what_changed_meanwhile_is_refused(api: httpx.AsyncClient) -> None:
    await create(api, "locked", text("a", "1"))
    read = await api.get("/pipelines/locked")
    tag = {"if-match": read.headers["etag"]}

    first = await api.put("/pipelines/locked/nodes/a", json=text("a", "first"), headers=tag)
    second = await api.put("/pipelines/locked/nodes/a", json=text("a", "second"), headers=tag)

    assert first.status_code == 200
    assert second.status_code == 412
    assert "revision 2" in second.json()["detail"]
    for path in ("/pipelines/locked/publish", "/pipelines/locked/archive"):
        assert (await api.post(path, headers=tag)).status_code == 412
    assert (await api.delete("/pipelines/locked", headers=tag)).status_code == 412
    assert (
        await api.put("/pipelines/locked/nodes/a", json=text("a", "third"), headers={"if-match": "x"})
    ).status_code == 422
    again = {"if-match": first.headers["etag"]}
    assert (await api.put("/pipelines/locked/nodes/a", json=text("a", "third"), headers=again)).status_code == 200


async def test_edits_at_once_are_all_kept(api: httpx.AsyncClient) -> None:
    await create(api, "edited-at-once")

    made = await asyncio.gather(
        *(api.post("/pipelines/edited-at-once/nodes", json=text(f"n{number}", "x")) for number in range(20))
    )

    assert {answer.status_code for answer in made} == {201}
    found = (await api.get("/pipelines/edited-at-once")).json()
    assert (found["node_count"], found["revision"]) == (20, 21)


async def test_export_then_apply_is_the_identity(api: httpx.AsyncClient) -> None:
    document = pipeline(
        "exported",
        [text("a", "1\n2", name="First", position={"x": 1, "y": 2}), text("b", "{{ nodes.a.text }}")],
        [edge("a", "b")],
        description="words",
        input_schema={"type": "object"},
    )
    await api.post("/pipelines", json=document)

    exported = (await api.get("/pipelines/exported/export")).json()
    as_yaml = (await api.get("/pipelines/exported/export?format=yaml")).text
    replaced = await api.put("/pipelines/exported", json=exported)

    assert exported == document
    assert yaml.safe_load(as_yaml) == exported
    difference = (await api.get("/pipelines/exported")).json()
    assert replaced.json()["nodes"] == difference["nodes"]
    assert (await api.get("/pipelines/exported/export")).json() == exported


async def test_versions_are_listed_compared_and_published_again(api: httpx.AsyncClient) -> None:
    await create(api, "versioned", text("a", "one"), text("b", "b"))
    await api.post("/pipelines/versioned/publish")
    await api.put(
        "/pipelines/versioned",
        json=pipeline("versioned", [text("a", "two"), text("c", "{{ nodes.a.text }}")], [edge("a", "c")]),
    )
    await api.post("/pipelines/versioned/publish")

    listed = (await api.get("/pipelines/versioned/versions")).json()["versions"]
    first = (await api.get("/pipelines/versioned/versions/1")).json()
    difference = (await api.get("/pipelines/versioned/versions/1/difference?to=2")).json()

    assert [(version["number"], version["is_active"]) for version in listed] == [(2, True), (1, False)]
    assert [node["config"]["content"] for node in first["document"]["nodes"]] == ["one", "b"]
    assert (difference["nodes_added"], difference["nodes_removed"]) == (["c"], ["b"])
    assert difference["nodes_changed"] == [
        {"key": "a", "changes": [{"pointer": "/config/content", "before": "one", "after": "two"}]}
    ]
    assert difference["edges_added"] == [{"source": "a", "target": "c", "branch": None}]

    back = (await api.post("/pipelines/versioned/versions/1/publish")).json()
    run = (await api.post("/pipelines/versioned/execute?wait=10", json={})).json()
    assert (back["active_version"], run["version"]) == (1, 1)
    assert run["output"]["a"] == {"text": "one"}
    # The draft differs from what is active now: publishing it makes it active again.
    assert (await api.post("/pipelines/versioned/publish")).json()["active_version"] == 3
    assert (await api.get("/pipelines/versioned/versions/9")).status_code == 404


async def test_create_with_a_key_is_one_pipeline(api: httpx.AsyncClient) -> None:
    document = {"name": "Keyed pipeline", "nodes": [text("a", "1")]}
    headers = {"idempotency-key": "pipeline-key-1"}

    made = await asyncio.gather(*(api.post("/pipelines", json=document, headers=headers) for _ in range(5)))
    other = await api.post("/pipelines", json=document | {"name": "Another"}, headers=headers)

    assert {answer.status_code for answer in made} == {201}
    assert len({answer.json()["id"] for answer in made}) == 1
    assert other.status_code == 409


async def test_a_key_ends_with_its_pipeline(api: httpx.AsyncClient) -> None:
    document = {"name": "Keyed and deleted", "nodes": [text("a", "1")]}
    headers = {"idempotency-key": "pipeline-key-2"}
    first = (await api.post("/pipelines", json=document, headers=headers)).json()
    assert (await api.delete(f"/pipelines/{first['id']}")).status_code == 204

    again = await api.post("/pipelines", json=document, headers=headers)

    assert again.status_code == 201, again.text
    assert again.json()["id"] != first["id"]


async def test_large_answers_are_compressed(api: httpx.AsyncClient) -> None:
    await create(api, "compressed", *(text(f"n{number}", "x" * 100) for number in range(50)))

    found = await api.get("/pipelines/compressed", headers={"accept-encoding": "gzip"})

    assert found.headers["content-encoding"] == "gzip"
    assert found.json()["node_count"] == 50


async def test_everything_that_changes_a_pipeline_answers_with_another_etag(api: httpx.AsyncClient) -> None:
    body = pipeline("tagged", [text("a", "1"), text("b", "2")], [edge("a", "b")])
    tags = [(await api.post("/pipelines", json=body)).headers["etag"]]

    for method, path, sent in (
        ("DELETE", "/pipelines/tagged/edges/a.b", None),
        ("DELETE", "/pipelines/tagged/nodes/b", None),
        ("POST", "/pipelines/tagged/publish", None),
        ("POST", "/pipelines/apply", body),
        ("POST", "/pipelines/tagged/versions/1/publish", None),
        ("POST", "/pipelines/tagged/archive", None),
    ):
        answer = await api.request(method, path, json=sent, headers={"if-match": tags[-1]})
        assert answer.is_success, answer.text
        tags.append(answer.headers["etag"])
        assert (await api.get("/pipelines/tagged")).headers["etag"] == tags[-1]

    assert len(set(tags)) == len(tags)
    unchanged = await api.post("/pipelines/tagged/archive")
    assert unchanged.headers["etag"] == tags[-1]


async def test_flat_answers_say_that_there_is_another_form(api: httpx.AsyncClient) -> None:
    for path in ("/pipelines/greeting", "/pipelines/no-such-one"):
        assert "Accept" in (await api.get(path)).headers["vary"].split(", ")
