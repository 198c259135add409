"""Lists are read in both directions, page by page."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.e2e.graphs import edge, pipeline, text


@pytest.fixture(scope="module")
async def lists(api: httpx.AsyncClient) -> dict[str, tuple[str, str]]:
    """Each list with something in it: its path and the order that it has, by the field that holds the items."""
    nodes = [text("c", "x"), text("a", "x"), text("b", "x")]
    slugs = ["sorted-b", "sorted-a", "sorted-c"]
    for slug in slugs:
        await api.post("/pipelines", json=pipeline(slug, nodes, [edge("a", "b"), edge("a", "c"), edge("c", "b")]))
    for number in range(3):
        await api.patch("/pipelines/sorted-a", json={"description": f"version {number}"})
        await api.patch("/pipelines/sorted-a/nodes/c", json={"config": {"content": f"{number}"}})
        await api.post("/pipelines/sorted-a/publish")
        await api.post("/pipelines/sorted-a/execute?wait=10")
        await api.post("/pipelines/sorted-a/webhooks", json={"url": "https://my-service.invalid/ends"})
        await api.post("/api_keys", json={"name": f"sorted {number}", "scopes": ["runs:read"]})
    own_id = (await api.get("/pipelines/sorted-a")).json()["id"]
    return {
        "pipelines": ("/pipelines?status=draft", "slug"),
        "nodes": ("/pipelines/sorted-a/nodes?", "key"),
        "edges": ("/pipelines/sorted-a/edges?", "id"),
        "versions": ("/pipelines/sorted-a/versions?", "number"),
        "runs": (f"/pipeline_runs?pipeline_id={own_id}", "created_at"),
        "webhooks": (f"/webhooks?pipeline_id={own_id}", "created_at"),
        "keys": ("/api_keys?", "created_at"),
    }


@pytest.mark.parametrize("items", ["pipelines", "nodes", "edges", "versions", "runs", "webhooks", "keys"])
async def test_a_list_backwards_is_the_list_in_reverse(
    items: str, lists: dict[str, tuple[str, str]], api: httpx.AsyncClient
) -> None:
    path, order = lists[items]

    forth = await all_of(api, f"{path}&sort={order}", items)
    back = await all_of(api, f"{path}&sort=-{order}", items)

    values = [item[order] for item in forth]
    assert len(forth) >= 2
    assert values == sorted(values)
    assert [item[order] for item in back] == values[::-1]


async def all_of(api: httpx.AsyncClient, path: str, items: str) -> list[dict[str, Any]]:
    """By pages of two."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = (await api.get(f"{path}&limit=2{after}")).json()
        found += page[items]
        if page["next_after"] is None:
            return found
        after = f"&after={page['next_after']}"


async def test_another_order_is_refused_with_those_that_there_are(api: httpx.AsyncClient) -> None:
    refused = await api.get("/pipelines?sort=name")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/query/sort")
    assert "'slug' or '-slug'" in refused.json()["errors"][0]["detail"]
