"""What the services count, read as Prometheus reads it, beside runs that are known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.graphs import fetch, pipeline, text
from tests.eventually import eventually
from tests.integration.processes import SERVICES, asking, publish, serving_all
from tests.ledger import Ledger, ledger
from tests.ports import free_port

RUNS = 3
DOCUMENT = pipeline(
    "counted",
    [
        text("words", "{{ input.word }}"),
        {"key": "ask", "type": "llm", "config": {"prompt": "counted {{ nodes.words.text }}", "model": "priced"}},
    ],
    [{"source": "words", "target": "ask"}],
)


@dataclass
class Counted:
    """The services, by the ports of their metrics."""

    api: httpx.AsyncClient
    ports: dict[str, int]
    ledger: Ledger

    async def value(self, service: str, name: str, **labels: str) -> float:
        """The sum of all samples of this name with these labels."""
        async with httpx.AsyncClient() as client:
            shown = (await client.get(f"http://127.0.0.1:{self.ports[service]}/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(shown)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def becomes(self, expected: float, service: str, name: str, **labels: str) -> None:
        async def is_so() -> bool:
            return await self.value(service, name, **labels) == expected

        await eventually(is_so, f"{name} of {service} {labels} to be {expected:g}")

    async def run(self, slug: str) -> httpx.Response:
        return await self.api.post(f"/pipelines/{slug}/execute", params={"wait": 20}, json={"input": {"word": "x"}})


@pytest.fixture(scope="module")
async def counted(
    postgres_module: str, nats_module: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Counted]:
    ports = {name: free_port() for name in SERVICES}
    own = {name: {"PIPEWRIGHT_HEALTH_PORT": str(port)} for name, port in ports.items()}
    folder = tmp_path_factory.mktemp("metrics")
    with ledger() as book:
        settings = asking(book) | {"PIPEWRIGHT_LLM_PRICES": "priced=2/10"}
        async with serving_all(folder, nats_module, postgres_module, settings, own) as api:
            yield Counted(api, ports, book)


async def test_runs_nodes_tokens_and_cost_are_counted(counted: Counted) -> None:
    await publish(counted.api, DOCUMENT)
    for _ in range(RUNS):
        answer = await counted.run("counted")
        assert answer.json()["status"] == "completed", answer.text

    await counted.becomes(RUNS, "coordinator", "pipewright_runs_started_total")
    await counted.becomes(RUNS, "coordinator", "pipewright_runs_ended_total", status="completed")
    await counted.becomes(RUNS, "coordinator", "pipewright_run_seconds_count", status="completed")
    await counted.becomes(RUNS, "coordinator", "pipewright_attempts_total", node_type="llm", outcome="completed")
    for node_type in ("text", "llm"):
        await counted.becomes(RUNS, "worker", "pipewright_queue_seconds_count", node_type=node_type)
        done = {"node_type": node_type, "outcome": "completed"}
        await counted.becomes(RUNS, "worker", "pipewright_node_seconds_count", **done)
    await counted.becomes(RUNS, "worker", "pipewright_llm_requests_total", model="priced", outcome="answered")
    await counted.becomes(RUNS, "worker", "pipewright_llm_tokens_total", model="priced", kind="prompt")
    await counted.becomes(2 * RUNS, "worker", "pipewright_llm_tokens_total", model="priced", kind="completion")
    # One token in at 2 USD a million, and two out at 10 USD a million.
    cost = await counted.value("worker", "pipewright_llm_cost_usd_total", model="priced")
    assert cost == pytest.approx(RUNS * 22e-6)
    assert 0 < await counted.value("coordinator", "pipewright_run_seconds_sum", status="completed") < 60
    assert await counted.value("coordinator", "pipewright_runs_unfinished") == 0


async def test_the_cost_stands_in_the_node_result(counted: Counted) -> None:
    await publish(counted.api, DOCUMENT | {"slug": "costly"})
    run_id = (await counted.run("costly")).json()["id"]

    run = (await counted.api.get(f"/pipeline_runs/{run_id}", params={"include": "node_results"})).json()

    [result] = [one for one in run["node_results"] if one["node_key"] == "ask"]
    assert result["metadata"]["cost_usd"] == pytest.approx(22e-6)


async def test_retries_and_failures_are_counted_by_their_reason(counted: Counted) -> None:
    url = f"{counted.ledger.url}/fail/1/once-and-again"
    await publish(
        counted.api, pipeline("again", [fetch("call", url, retry={"max_attempts": 2, "initial_delay_s": 0.1})])
    )
    await publish(counted.api, pipeline("gone", [fetch("call", f"{counted.ledger.url}/status/404/gone")]))

    assert (await counted.run("again")).json()["status"] == "completed"
    assert (await counted.run("gone")).json()["status"] == "failed"

    labels = {"node_type": "http_request"}
    await counted.becomes(1, "coordinator", "pipewright_retries_total", **labels)
    await counted.becomes(1, "coordinator", "pipewright_runs_ended_total", status="failed")
    await counted.becomes(2, "worker", "pipewright_node_seconds_count", **labels, outcome="failed")
    await counted.becomes(1, "worker", "pipewright_node_seconds_count", **labels, outcome="completed")


async def test_requests_are_counted_by_the_template_of_their_route(counted: Counted) -> None:
    for word in ("one", "two", "three"):
        assert (await counted.api.get(f"/pipelines/no-such-{word}")).status_code == 404
        assert (await counted.api.get(f"/nowhere/{word}")).status_code == 404

    name = "pipewright_http_request_seconds_count"
    route = "/pipelines/{pipeline}"
    assert await counted.value("gateway", name, method="GET", route=route, status="4xx") == 3
    assert await counted.value("gateway", name, route="none", status="4xx") == 3


async def test_every_service_tells_of_its_loop_and_its_pool(counted: Counted) -> None:
    for service in counted.ports:
        assert await counted.value(service, "pipewright_tasks") > 1
        assert await counted.value(service, "pipewright_loop_lag_seconds_count") > 0
        assert await counted.value(service, "process_resident_memory_bytes") > 1e6
    for service in ("definition", "coordinator", "gateway"):
        assert await counted.value(service, "pipewright_database_connections") >= 1
