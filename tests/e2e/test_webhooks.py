"""Completion webhooks over REST, on the stack that users start; deliveries survive the death of what sends them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from shared.client import PipewrightClient
from tests.e2e.graphs import journey, pipeline, text
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.stack import Stack

RUNS = 60


async def hook(api: httpx.AsyncClient, whose: str, url: str) -> dict[str, Any]:
    answer = await api.post(f"{whose}/webhooks", json={"url": url})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/v3/webhooks/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    return made


async def deliveries(api: httpx.AsyncClient, webhook: dict[str, Any], status: str) -> list[dict[str, Any]]:
    answer = await api.get(f"/webhooks/{webhook['id']}/deliveries", params={"status": status, "limit": 200})
    found: list[dict[str, Any]] = answer.json()["webhook_deliveries"]
    return found


async def test_an_end_is_delivered_listed_and_sent_again(
    api: httpx.AsyncClient, stack: Stack, client: PipewrightClient, ledger: Ledger
) -> None:
    await client.apply(pipeline("hooked", [text("a", "x")]))
    webhook = await hook(api, "/pipelines/hooked", f"{ledger.url}/echo/all/hooked")
    run = (await api.post("/pipelines/hooked/execute?wait=20", json={})).json()

    [delivery] = await eventually(lambda: deliveries(api, webhook, "delivered"), "the delivery")
    again = await api.post(f"/webhook_deliveries/{delivery['id']}/resend")
    await eventually(lambda: ledger.of("hooked").get("hooked") == 2, "the second request")

    assert (delivery["run_id"], delivery["attempt_count"], delivery["last_status"]) == (run["id"], 1, 200)
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    listed = (await api.get("/webhooks", params={"pipeline_id": webhook["pipeline_id"]})).text
    logs = "".join(path.read_text(errors="replace") for path in (stack.data_dir / "logs").glob("*.log"))
    key = webhook["secret"].removeprefix("whsec_")
    assert webhook["id"] in listed
    assert key not in listed + (await api.get(f"/webhooks/{webhook['id']}")).text + logs
    assert (await api.delete(f"/webhooks/{webhook['id']}")).status_code == 204
    assert (await api.get(f"/webhooks/{webhook['id']}")).status_code == 404


async def test_a_run_is_told_in_the_words_of_jsonapi_too(
    api: httpx.AsyncClient, client: PipewrightClient, ledger: Ledger
) -> None:
    await client.apply(pipeline("hooked-run", [text("a", "x")]))
    run = (await api.post("/pipelines/hooked-run/execute?wait=20", json={})).json()
    sent = {"data": {"type": "webhooks", "attributes": {"url": f"{ledger.url}/echo/all/hooked-run"}}}
    headers = {"accept": "application/vnd.api+json", "content-type": "application/vnd.api+json"}

    made = await api.post(f"/pipeline_runs/{run['id']}/webhooks", json=sent, headers=headers)

    assert made.status_code == 201, made.text
    data = made.json()["data"]
    assert data["relationships"]["pipeline_run"]["data"] == {"type": "pipeline_runs", "id": run["id"]}
    assert data["attributes"]["secret"].startswith("whsec_")
    await eventually(lambda: ledger.of("hooked-run"), "the request")


async def test_a_webhook_is_refused_in_words(api: httpx.AsyncClient) -> None:
    unknown = await api.post("/pipelines/no-such-pipeline/webhooks", json={"url": "https://example.com"})
    wrong = await api.post("/pipelines/no-such-pipeline/webhooks", json={"url": "https://user:hunter2@example.com"})

    assert (unknown.status_code, unknown.json()["type"]) == (404, "pipeline_not_found")
    assert wrong.status_code == 422
    assert "no credentials" in wrong.json()["detail"]
    assert "hunter2" not in wrong.text


async def test_deaths_of_what_sends_lose_no_delivery(
    api: httpx.AsyncClient, stack: Stack, client: PipewrightClient, ledger: Ledger
) -> None:
    await client.apply(journey("dying-hooks", ledger.url))
    webhook = await hook(api, "/pipelines/dying-hooks", f"{ledger.url}/nap/0.02/told")
    started = await asyncio.gather(*(client.run("dying-hooks", {"number": number}) for number in range(RUNS)))
    await eventually(lambda: len(ledger.of("dying-hooks-")) > RUNS // 4, "some work")

    stack.kill("coordinator-1")
    await eventually(lambda: ledger.of("told").get("told", 0) > 1, "some deliveries")
    stack.kill("worker-http_request-1")
    stack.kill("coordinator-1")

    runs = await asyncio.gather(*(client.wait(one.run_id, 120) for one in started))

    async def all_told() -> bool:
        return len(await deliveries(api, webhook, "delivered")) == RUNS

    await eventually(all_told, "every delivery", timeout_s=120)
    told = await deliveries(api, webhook, "delivered")
    assert {delivery["run_id"] for delivery in told} == {str(run.id) for run in runs}
    assert ledger.of("told")["told"] >= RUNS
