"""What an external client does by REST."""

from __future__ import annotations

import re
from uuid import uuid4

import httpx

from shared.clock import new_id
from tests.e2e.graphs import edge, fetch, pipeline, text
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.stack import Stack


async def test_pipeline_lives_from_draft_to_deletion(api: httpx.AsyncClient) -> None:
    nodes = [
        text("hello", "Hello {{ input.who }}", position={"x": 1, "y": 2}),
        text("shout", "{{ previous.text | upcase }}"),
    ]
    created = await api.post("/pipelines", json=pipeline("life", nodes, [edge("hello", "shout")]))
    assert created.status_code == 201, created.text
    made = created.json()
    assert made["status"] == "draft"
    assert created.headers["location"] == f"/api/v3/pipelines/{made['id']}"

    published = (await api.post("/pipelines/life/publish")).json()
    assert (published["status"], published["active_version"]) == ("active", 1)

    ended = await api.post(f"/pipelines/{made['id']}/execute?wait=10", json={"input": {"who": "you"}})
    assert ended.status_code == 200
    assert ended.json()["output"] == {"shout": {"text": "HELLO YOU"}}

    archived = (await api.post("/pipelines/life/archive")).json()
    assert archived["status"] == "archived"
    refused = await api.post("/pipelines/life/execute", json={})
    assert refused.status_code == 409
    assert "archived" in refused.json()["detail"]

    assert (await api.delete("/pipelines/life")).status_code == 204
    assert (await api.get("/pipelines/life")).status_code == 404


async def test_run_is_accepted_at_once_and_read_at_its_location(api: httpx.AsyncClient) -> None:
    accepted = await api.post("/pipelines/greeting/execute", json={"input": {"name": "Ada"}})

    assert accepted.status_code == 202
    location = accepted.headers["location"]
    assert location == f"/api/v3/pipeline_runs/{accepted.json()['id']}"

    async def ended() -> bool:
        return (await api.get(location.removeprefix("/api/v3"))).json()["status"] == "completed"

    await eventually(ended, "the run's end")


async def test_run_document_has_every_field(api: httpx.AsyncClient) -> None:
    nodes = [
        text("first", "{{ input.word }}"),
        text("second", "{{ nodes.first.text }} {{ input.word }}"),
    ]
    await api.post("/pipelines", json=pipeline("whole-document", nodes, [edge("first", "second")]))
    await api.post("/pipelines/whole-document/publish")
    started = (await api.post("/pipelines/whole-document/execute?wait=10", json={"input": {"word": "tea"}})).json()

    run = (await api.get(f"/pipeline_runs/{started['id']}?include=node_results")).json()

    assert run["status"] == "completed"
    assert run["version"] == 1
    assert run["input"] == {"word": "tea"}
    assert run["output"] == {"second": {"text": "tea tea"}}
    assert run["error"] is None
    assert run["progress_percent"] == 100
    first, second = run["node_results"]
    assert (first["node_key"], first["node_type"], first["status"]) == ("first", "text", "completed")
    assert second["input"] == {"input": {"word": "tea"}, "nodes": {"first": {"text": "tea"}}}
    assert second["output"] == {"text": "tea tea"}
    assert [attempt["outcome"] for attempt in second["attempts"]] == ["completed"]
    of_nodes = [first["started_at"], first["finished_at"], second["started_at"], second["finished_at"]]
    times = [run["created_at"], run["started_at"], *of_nodes, run["finished_at"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", time) for time in times), times
    assert times == sorted(times)


async def test_without_include_there_are_no_node_results(api: httpx.AsyncClient) -> None:
    started = (await api.post("/pipelines/greeting/execute?wait=10", json={"input": {"name": "Ada"}})).json()

    run = (await api.get(f"/pipeline_runs/{started['id']}")).json()

    assert "node_results" not in run


async def test_a_run_that_was_waited_for_is_what_reading_it_gives(api: httpx.AsyncClient) -> None:
    leaves = [text("first", "{{ input.word }}"), text("second", "{{ input.word | upcase }}")]
    await api.post("/pipelines", json=pipeline("waited-for", leaves, []))
    await api.post("/pipelines/waited-for/publish")

    for slug, run_input in (("greeting", {"name": "Ada"}), ("waited-for", {}), ("waited-for", {"word": "tea"})):
        ended = await api.post(f"/pipelines/{slug}/execute?wait=10", json={"input": run_input})

        assert ended.status_code == 200
        assert ended.json() == (await api.get(f"/pipeline_runs/{ended.json()['id']}")).json()


async def test_same_run_id_is_the_same_run(api: httpx.AsyncClient) -> None:
    body = {"input": {"name": "Ada"}, "run_id": str(new_id())}

    first = await api.post("/pipelines/greeting/execute?wait=10", json=body)
    second = await api.post("/pipelines/greeting/execute?wait=10", json=body)

    assert first.json()["id"] == second.json()["id"] == body["run_id"]
    other = await api.post("/pipelines/greeting/execute", json=body | {"input": {"name": "Grace"}})
    assert other.status_code == 409


async def test_idempotency_key_gives_the_first_run_again(api: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": str(uuid4())}
    body = {"input": {"name": "Ada"}}

    first = await api.post("/pipelines/greeting/execute?wait=10", json=body, headers=headers)
    second = await api.post("/pipelines/greeting/execute?wait=10", json=body, headers=headers)
    other = await api.post("/pipelines/greeting/execute", json={"input": {"name": "Grace"}}, headers=headers)

    assert first.json()["id"] == second.json()["id"]
    assert other.status_code == 409


async def test_cancelled_run_stays_cancelled(api: httpx.AsyncClient, ledger: Ledger) -> None:
    nodes = [fetch("gate", f"{ledger.url}/gate/open/cancelled"), text("after", "{{ nodes.gate.status }}")]
    await api.post("/pipelines", json=pipeline("gated", nodes, [edge("gate", "after")]))
    await api.post("/pipelines/gated/publish")
    run = (await api.post("/pipelines/gated/execute", json={})).json()
    await eventually(lambda: ledger.requests["cancelled"] == 1, "the request at the gate")

    cancelled = await api.post(f"/pipeline_runs/{run['id']}/cancel")

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    ledger.open_gate()
    await eventually(lambda: ledger.answered["cancelled"] == 1, "the late answer")
    again = await api.post(f"/pipeline_runs/{run['id']}/cancel")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    found = (await api.get(f"/pipeline_runs/{run['id']}?include=node_results")).json()
    assert {node["node_key"]: node["status"] for node in found["node_results"]} == {
        "gate": "cancelled",
        "after": "skipped",
    }


async def test_run_that_has_ended_cannot_be_cancelled(api: httpx.AsyncClient) -> None:
    run = (await api.post("/pipelines/greeting/execute?wait=10", json={"input": {"name": "Ada"}})).json()

    refused = await api.post(f"/pipeline_runs/{run['id']}/cancel")

    assert refused.status_code == 409
    assert "completed" in refused.json()["detail"]


async def test_failing_service_is_tried_again_and_each_attempt_is_kept(api: httpx.AsyncClient, ledger: Ledger) -> None:
    retry = {"max_attempts": 3, "initial_delay_s": 0.01, "max_delay_s": 0.05}
    nodes = [fetch("call", f"{ledger.url}/fail/2/flaky", retry=retry)]
    await api.post("/pipelines", json=pipeline("flaky", nodes))
    await api.post("/pipelines/flaky/publish")

    run = (await api.post("/pipelines/flaky/execute?wait=20", json={})).json()

    assert run["status"] == "completed"
    found = (await api.get(f"/pipeline_runs/{run['id']}?include=node_results")).json()
    call = found["node_results"][0]
    assert [attempt["outcome"] for attempt in call["attempts"]] == ["failed", "failed", "completed"]
    assert call["metadata"]["retry_count"] == 2
    assert ledger.requests["flaky"] == 3


async def test_error_edge_handles_a_failure(api: httpx.AsyncClient, ledger: Ledger) -> None:
    nodes = [
        fetch("call", f"{ledger.url}/status/404/missing"),
        text("fine", "fine"),
        text("sorry", "{{ nodes.call.error.code }}"),
    ]
    edges = [edge("call", "fine"), edge("call", "sorry", "error")]
    await api.post("/pipelines", json=pipeline("handled", nodes, edges))
    await api.post("/pipelines/handled/publish")

    run = (await api.post("/pipelines/handled/execute?wait=20", json={})).json()

    assert (run["status"], run["error"]) == ("completed", None)
    assert run["output"] == {"sorry": {"text": "http_status"}}


async def test_edit_is_seen_by_runs_after_publish_only(api: httpx.AsyncClient) -> None:
    await api.post("/pipelines", json=pipeline("edited", [text("say", "one")]))
    await api.post("/pipelines/edited/publish")

    await api.put("/pipelines/edited", json=pipeline("edited", [text("say", "two")]))
    before = (await api.post("/pipelines/edited/execute?wait=10", json={})).json()
    await api.post("/pipelines/edited/publish")
    after = (await api.post("/pipelines/edited/execute?wait=10", json={})).json()

    assert (before["version"], before["output"]["say"]["text"]) == (1, "one")
    assert (after["version"], after["output"]["say"]["text"]) == (2, "two")


async def test_runs_are_listed_newest_first_in_pages(api: httpx.AsyncClient) -> None:
    await api.post("/pipelines", json=pipeline("listed", [text("say", "{{ input.number }}")]))
    made = (await api.post("/pipelines/listed/publish")).json()
    for number in range(3):
        await api.post("/pipelines/listed/execute?wait=10", json={"input": {"number": number}})

    first = (await api.get("/pipeline_runs", params={"pipeline_id": made["id"], "limit": 2})).json()
    second = (
        await api.get("/pipeline_runs", params={"pipeline_id": made["id"], "limit": 2, "after": first["next_after"]})
    ).json()

    assert [run["input"]["number"] for run in first["runs"] + second["runs"]] == [2, 1, 0]
    assert second["next_after"] is None


async def test_runs_are_listed_by_slug_or_id_of_their_pipeline(api: httpx.AsyncClient) -> None:
    await api.post("/pipelines", json=pipeline("named-runs", [text("say", "one")]))
    made = (await api.post("/pipelines/named-runs/publish")).json()
    run = (await api.post("/pipelines/named-runs/execute?wait=10", json={})).json()

    for name in ("named-runs", made["id"], made["id"].upper()):
        found = (await api.get("/pipeline_runs", params={"pipeline": name})).json()
        assert [one["id"] for one in found["runs"]] == [run["id"]]
    await api.delete("/pipelines/named-runs")
    assert (await api.get("/pipeline_runs", params={"pipeline": made["id"]})).json()["runs"][0]["id"] == run["id"]
    assert (await api.get("/pipeline_runs", params={"pipeline": "named-runs"})).status_code == 404
    both = await api.get("/pipeline_runs", params={"pipeline": "x", "pipeline_id": made["id"]})
    assert both.status_code == 422


async def test_every_route_with_data_needs_a_key(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=f"{stack.gateway}/api/v3") as stranger:
        for path in ("/pipelines", "/pipeline_runs", "/node_types", f"/pipeline_runs/{uuid4()}"):
            assert (await stranger.get(path)).status_code == 401
            wrong = await stranger.get(path, headers={"authorization": "Bearer wrong-key"})
            assert wrong.status_code == 401
            assert "key" in wrong.json()["detail"]
        for path in ("/health", "/ready", "/version"):
            assert (await stranger.get(path)).status_code == 200
