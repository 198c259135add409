"""Each wrong thing that a user can send is answered with what, where and what to do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.e2e.graphs import Document, edge, fetch, pipeline, text

BAD_PIPELINES: list[tuple[str, Document, str, str]] = [
    (
        "a cycle",
        pipeline("bad", [text("a", "1"), text("b", "2")], [edge("a", "b"), edge("b", "a")]),
        "/edges",
        "cycle: a -> b -> a. Remove one",
    ),
    ("a self-loop", pipeline("bad", [text("a", "1")], [edge("a", "a")]), "/edges/0", "itself"),
    (
        "a duplicate edge",
        pipeline("bad", [text("a", "1"), text("b", "2")], [edge("a", "b"), edge("a", "b")]),
        "/edges/1",
        "is there already",
    ),
    (
        "an edge to nowhere",
        pipeline("bad", [text("a", "1")], [edge("a", "b")]),
        "/edges/0/target",
        "'b'",
    ),
    (
        "an unknown type",
        pipeline("bad", [{"key": "a", "type": "txt", "config": {}}]),
        "/nodes/0/type",
        "Did you mean 'text'?",
    ),
    (
        "a broken template",
        pipeline("bad", [text("a", "Hello {{ input.name")]),
        "/nodes/0/config/content",
        "node 'a'",
    ),
    (
        "Liquid's colon",
        pipeline("bad", [text("a", "{{ input.name | truncatewords: 3 }}")]),
        "/nodes/0/config/content",
        "truncatewords(3)",
    ),
    (
        "a reference that is not upstream",
        pipeline("bad", [text("a", "{{ nodes.b.text }}"), text("b", "2")]),
        "/nodes/0/config",
        "not upstream",
    ),
    (
        "a reference to nothing",
        pipeline("bad", [text("alpha", "1"), text("b", "{{ nodes.alpa.text }}")], [edge("alpha", "b")]),
        "/nodes/1/config",
        "Did you mean 'alpha'?",
    ),
    (
        "an unknown field of a config",
        pipeline("bad", [{"key": "a", "type": "text", "config": {"contnt": "x"}}]),
        "/nodes/0/config/contnt",
        "content",
    ),
    (
        "a wrong method",
        pipeline("bad", [{"key": "a", "type": "http_request", "config": {"url": "http://x", "method": "FETCH"}}]),
        "/nodes/0/config/method",
        "'GET'",
    ),
    (
        "an unknown branch",
        pipeline(
            "bad",
            [{"key": "a", "type": "condition", "config": {"expression": "true"}}, text("b", "2")],
            [edge("a", "b", "maybe")],
        ),
        "/edges/0/branch",
        "true, false, error",
    ),
    ("a reserved key", pipeline("bad", [text("input", "1")]), "/nodes/0/key", "reserved"),
    ("a key twice", pipeline("bad", [text("a", "1"), text("a", "2")]), "/nodes/1/key", "another node"),
    ("a slug with capitals", pipeline("Bad", [text("a", "1")]), "/slug", "lower-case"),
    ("an unknown field", pipeline("bad", [text("a", "1")]) | {"edgs": []}, "/edgs", "edges"),
    ("no name", {"slug": "bad", "nodes": []}, "/name", "required"),
]


@pytest.mark.parametrize(
    ("document", "pointer", "words"), [case[1:] for case in BAD_PIPELINES], ids=[case[0] for case in BAD_PIPELINES]
)
async def test_bad_pipeline_is_refused_with_its_place(
    api: httpx.AsyncClient, document: Document, pointer: str, words: str
) -> None:
    refused = await api.post("/pipelines", json=document)

    assert refused.status_code == 422
    problem = refused.json()
    assert refused.headers["content-type"] == "application/problem+json"
    findings = {finding["pointer"]: finding["detail"] for finding in problem["errors"]}
    assert pointer in findings, problem
    assert words in findings[pointer]
    assert (await api.get("/pipelines/bad")).status_code == 404


async def failed_run(api: httpx.AsyncClient, document: Document, run_input: Document | None = None) -> dict[str, Any]:
    """The error of a run of this pipeline."""
    assert (await api.post("/pipelines", json=document)).status_code == 201
    await api.post(f"/pipelines/{document['slug']}/publish")
    run = (await api.post(f"/pipelines/{document['slug']}/execute?wait=30", json={"input": run_input or {}})).json()
    assert run["status"] == "failed", run
    error: dict[str, Any] = run["error"]
    return error


async def test_missing_variable_is_named_with_those_that_are_known(api: httpx.AsyncClient) -> None:
    error = await failed_run(api, pipeline("missing-variable", [text("greet", "Hi {{ input.nme }}")]), {"name": "Ada"})

    assert error["node_key"] == "greet"
    assert error["code"] == "template_error"
    assert "nme" in error["message"]
    assert "name" in error["message"]


async def test_unreachable_host_is_named(api: httpx.AsyncClient) -> None:
    node = fetch("call", "http://no-such-host.invalid/x", retry={"max_attempts": 1})

    error = await failed_run(api, pipeline("unreachable-host", [node]))

    assert error["node_key"] == "call"
    assert "no-such-host.invalid" in error["message"]


@pytest.mark.parametrize("host", ["127.0.0.1:1", "10.0.0.1", "169.254.169.254", "[::1]:80", "0x7f000001", "localhost"])
async def test_private_address_is_refused_with_the_setting_that_allows_it(api: httpx.AsyncClient, host: str) -> None:
    slug = "private-" + "".join(sign if sign.isalnum() else "-" for sign in host)

    error = await failed_run(api, pipeline(slug, [fetch("call", f"http://{host}/")]))

    assert error["code"] == "address_refused"
    assert "PIPEWRIGHT_ALLOW_ADDRESSES" in error["message"]


async def test_run_of_a_draft_says_to_publish_it(api: httpx.AsyncClient) -> None:
    await api.post("/pipelines", json=pipeline("still-a-draft", [text("a", "1")]))

    refused = await api.post("/pipelines/still-a-draft/execute", json={})

    assert refused.status_code == 409
    assert "publish" in refused.json()["detail"].lower()


async def test_what_a_state_does_not_allow_is_told_with_what_it_does(api: httpx.AsyncClient) -> None:
    await api.post("/pipelines/apply", json=pipeline("ended-for-good", [text("a", "1")]))
    run = (await api.post("/pipelines/ended-for-good/execute?wait=30", json={})).json()
    await api.post("/pipelines/ended-for-good/archive")

    for path, body, state, allowed in (
        ("/pipelines/ended-for-good/publish", None, "archived", ["delete"]),
        ("/pipelines/ended-for-good/versions/1/publish", None, "archived", ["delete"]),
        ("/pipelines/ended-for-good/execute", {}, "archived", ["delete"]),
        (f"/pipeline_runs/{run['id']}/cancel", {}, "completed", ["retry"]),
    ):
        flat = await api.post(path, json=body)
        asked = await api.post(path, json=body, headers={"accept": "application/vnd.api+json"})
        assert (flat.status_code, asked.status_code) == (409, 409), flat.text
        assert (flat.json()["state"], flat.json()["allowed"]) == (state, allowed)
        assert f"is {state}" in flat.json()["detail"]
        assert asked.json()["errors"][0]["meta"] == {"state": state, "allowed": allowed}


async def test_input_that_breaks_the_schema_is_refused_with_its_place(api: httpx.AsyncClient) -> None:
    refused = await api.post("/pipelines/greeting/execute", json={"input": {"name": 1}})

    assert refused.status_code == 422
    assert [finding["pointer"] for finding in refused.json()["errors"]] == ["/input/name"]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"no JSON", 422), (b"[]", 422), (b'{"inptu": {}}', 422), (b'{"input": 1}', 422), (b'{"run_id": "x"}', 422)],
)
async def test_bad_body_of_execute_is_refused(api: httpx.AsyncClient, body: bytes, status: int) -> None:
    refused = await api.post("/pipelines/greeting/execute", content=body)

    assert refused.status_code == status
    assert refused.json()["detail"]


@pytest.mark.parametrize("path", ["/pipelines/greeting/execute", "/pipeline_runs/{run}/retry"])
async def test_id_that_would_not_sort_is_refused(api: httpx.AsyncClient, path: str) -> None:
    run = (await api.post("/pipelines/greeting/execute?wait=30", json={"input": {"name": "Ada"}})).json()

    refused = await api.post(path.format(run=run["id"]), json={"run_id": "6ba7b810-9dad-41d1-80b4-00c04fd430c8"})

    assert refused.status_code == 422
    assert [finding["pointer"] for finding in refused.json()["errors"]] == ["/run_id"]
    assert "UUIDv7" in refused.json()["detail"]


async def test_unknown_field_of_a_key_gets_the_nearest_known_one(api: httpx.AsyncClient) -> None:
    refused = await api.post("/api_keys", json={"name": "x", "scope": ["admin"]})

    assert "Did you mean 'scopes'?" in [finding["detail"] for finding in refused.json()["errors"]][-1]


async def test_unknown_field_of_execute_gets_the_nearest_known_one(api: httpx.AsyncClient) -> None:
    refused = await api.post("/pipelines/greeting/execute", json={"inptu": {}})

    assert "input" in refused.json()["errors"][0]["detail"]


async def test_body_over_the_limit_is_refused(api: httpx.AsyncClient) -> None:
    refused = await api.post("/pipelines/greeting/execute", json={"input": {"name": "x" * 1_100_000}})

    assert refused.status_code == 413


async def test_unknown_run_and_pipeline_are_named(api: httpx.AsyncClient) -> None:
    run = await api.get("/pipeline_runs/01900000-0000-7000-8000-000000000000")
    unknown = await api.post("/pipelines/nowhere/execute", json={})

    assert (run.status_code, unknown.status_code) == (404, 404)
    assert "01900000" in run.json()["detail"]
    assert "nowhere" in unknown.json()["detail"]


async def test_loop_that_never_ends_is_stopped(api: httpx.AsyncClient) -> None:
    content = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"

    error = await failed_run(api, pipeline("endless", [text("spin", content, retry={"max_attempts": 1})]))

    assert error["code"] == "template_too_expensive"
    assert error["node_key"] == "spin"


async def test_node_over_its_timeout_says_so(api: httpx.AsyncClient, ledger: Any) -> None:
    node = fetch("slow", f"{ledger.url}/nap/5/too-slow", timeout_s=0.2, retry={"max_attempts": 1})

    error = await failed_run(api, pipeline("too-slow", [node]))

    assert error["code"] == "timed_out"
    assert "0.2" in error["message"]
