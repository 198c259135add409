"""Drafts changed in part: a JSON Merge Patch in flat JSON, the attributes that are sent in JSON:API."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from shared.client import PipewrightClient
from tests.e2e.graphs import edge, pipeline, text

OURS = "application/vnd.api+json"
SENT = {"accept": OURS, "content-type": OURS}


async def create(api: httpx.AsyncClient, slug: str) -> str:
    made = await api.post(
        "/pipelines",
        json=pipeline(slug, [text("a", "one", timeout_s=5), text("b", "two")], [edge("a", "b")], description="Old."),
    )
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def test_what_is_sent_of_a_pipeline_changes_and_all_else_stays(api: httpx.AsyncClient) -> None:
    await create(api, "patched")

    changed = await api.patch("/pipelines/patched", json={"name": "New", "input_schema": {"type": "object"}})
    taken_away = await api.patch("/pipelines/patched", json={"description": None, "input_schema": None})

    found = changed.json()
    assert (found["name"], found["description"], found["input_schema"]) == ("New", "Old.", {"type": "object"})
    assert ([node["key"] for node in found["nodes"]], len(found["edges"]), found["revision"]) == (["a", "b"], 1, 2)
    assert (taken_away.json()["description"], taken_away.json()["input_schema"]) == ("", None)
    assert taken_away.headers["etag"] == '"3"'


async def test_a_config_is_merged_and_a_list_is_replaced(api: httpx.AsyncClient) -> None:
    await create(api, "merged")

    node = await api.patch(
        "/pipelines/merged/nodes/a",
        json={"config": {"content": "three"}, "position": {"x": 1, "y": 2}, "timeout_s": None},
    )
    whole = await api.patch("/pipelines/merged", json={"nodes": [text("c", "alone")], "edges": []})

    found = node.json()
    assert (found["config"], found["position"], found["timeout_s"]) == ({"content": "three"}, {"x": 1, "y": 2}, None)
    assert [item["key"] for item in whole.json()["nodes"]] == ["c"]


async def test_the_rules_of_an_update_hold(api: httpx.AsyncClient) -> None:
    await create(api, "ruled")
    path = "/pipelines/ruled"

    stale = await api.patch(path, json={"name": "New"}, headers={"if-match": '"7"'})
    stale_node = await api.patch(f"{path}/nodes/a", json={"timeout_s": 9}, headers={"if-match": '"7"'})
    unknown = await api.patch(path, json={"naem": "New"})
    wrong = await api.patch(f"{path}/nodes/a", json={"config": {"contnt": "x"}})
    moved = await api.patch(f"{path}/nodes/a", json={"key": "z"})
    no_object = await api.patch(path, json=["name"])
    nowhere = await api.patch("/pipelines/no-such-pipeline", json={})

    assert (stale.status_code, stale_node.status_code, nowhere.status_code) == (412, 412, 404)
    assert [answer.status_code for answer in (unknown, wrong, moved, no_object)] == [422] * 4
    assert unknown.json()["errors"][0]["detail"] == "'naem' is not a known field. Did you mean 'name'?"
    assert [error["pointer"] for error in wrong.json()["errors"]] == ["/config/contnt"]
    assert (await api.get(path)).json()["revision"] == 1


async def test_no_edit_is_lost_however_many_patch_at_once(client: PipewrightClient, api: httpx.AsyncClient) -> None:
    await create(api, "at-once")

    await asyncio.gather(
        client.patch_pipeline("at-once", {"name": "New"}),
        client.patch_pipeline("at-once", {"description": "New."}),
        client.patch_node("at-once", "a", {"timeout_s": 7}),
        client.patch_node("at-once", "b", {"config": {"content": "other"}}),
    )

    found = await client.get_pipeline("at-once")
    assert (found.name, found.description, found.revision) == ("New", "New.", 5)
    assert found.nodes is not None
    assert [(node.timeout_s, node.config["content"]) for node in found.nodes] == [(7, "one"), (None, "other")]


async def test_jsonapi_updates_by_patch(api: httpx.AsyncClient) -> None:
    own_id = await create(api, "by-document")
    data = {"type": "pipelines", "id": own_id, "attributes": {"name": "New"}}
    node = {"type": "nodes", "id": f"{own_id}:a", "attributes": {"config": {"content": "three"}}}

    changed = await api.patch("/pipelines/by-document", json={"data": data}, headers=SENT)
    changed_node = await api.patch("/pipelines/by-document/nodes/a", json={"data": node}, headers=SENT)
    stale = await api.patch("/pipelines/by-document", json={"data": data}, headers=SENT | {"if-match": '"1"'})
    other = await api.patch("/pipelines/by-document", json={"data": node}, headers=SENT)

    attributes = changed.json()["data"]["attributes"]
    assert (attributes["name"], attributes["description"], attributes["node_count"]) == ("New", "Old.", 2)
    assert changed_node.json()["data"]["attributes"]["config"] == {"content": "three"}
    assert changed_node.json()["data"]["attributes"]["timeout_s"] == 5
    assert (stale.status_code, other.status_code) == (412, 409)


@pytest.mark.parametrize("path", ["/pipelines", "/pipeline_runs"])
async def test_nothing_else_is_patched(api: httpx.AsyncClient, path: str) -> None:
    refused = await api.patch(path, json={})
    assert refused.status_code == 405
