"""What no route takes: characters and depths that cannot be stored, and parameters that nobody knows."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.graphs import pipeline, text


@pytest.mark.parametrize(
    "path",
    [
        "/pipelines/%00",
        "/pipelines/a%00b/nodes",
        "/pipelines/greeting/nodes/%00",
        "/pipelines?after=%00",
        "/pipelines/greeting/edges?after=%00",
        "/pipeline_runs/01900000-0000-7000-8000-000000000000/node_results/%00",
        "/events?pipeline=%00",
    ],
)
async def test_zero_character_in_an_address_is_refused(api: httpx.AsyncClient, path: str) -> None:
    refused = await api.get(path)

    assert (refused.status_code, refused.json()["type"]) == (422, "invalid_request")
    assert "U+0000" in refused.json()["detail"]


@pytest.mark.parametrize("field", ["name", "description"])
async def test_zero_character_in_a_document_is_refused_with_its_place(api: httpx.AsyncClient, field: str) -> None:
    refused = await api.post("/pipelines", json=pipeline("zero", [text("a", "1")]) | {field: "a\x00b"})

    assert refused.status_code == 422
    assert [finding["pointer"] for finding in refused.json()["errors"]] == [f"/{field}"]


async def test_body_that_is_nested_too_deep_is_refused_in_both_representations(api: httpx.AsyncClient) -> None:
    deep = b'{"input":' * 300 + b"1" + b"}" * 300
    document = b'{"data":{"type":"pipeline_runs","attributes":' + deep + b"}}"
    kind = {"content-type": "application/vnd.api+json", "accept": "application/vnd.api+json"}

    flat = await api.post("/pipelines/greeting/execute", content=deep)
    asked = await api.post("/pipelines/greeting/execute", content=document, headers=kind)

    assert (flat.status_code, asked.status_code) == (422, 422)
    assert "inside each other" in flat.json()["detail"]
    assert "inside each other" in asked.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/pipeline_runs?statu=failed", "Did you mean 'status'?"),
        ("/pipelines?limt=3", "Did you mean 'limit'?"),
        ("/pipelines/greeting?verbose=1", "Known are: none."),
    ],
)
async def test_unknown_parameter_is_refused_with_the_nearest_known_one(
    api: httpx.AsyncClient, path: str, words: str
) -> None:
    refused = await api.get(path)

    assert refused.status_code == 422
    assert words in refused.json()["errors"][0]["detail"]
    assert refused.json()["errors"][0]["pointer"].startswith("/query/")
