"""One trace a run, as a collector gets it: request, start, attempts and what they call; batches with links."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from tests.e2e.graphs import edge, fetch, pipeline, text
from tests.eventually import eventually
from tests.http_server import Server, json, serving
from tests.integration.collector import Span, spans_of
from tests.integration.processes import asking, publish, serving_all
from tests.ledger import Ledger, ledger

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


@dataclass
class Traced:
    api: httpx.AsyncClient
    collector: Server
    ledger: Ledger

    async def run(self, slug: str, **headers: str) -> httpx.Response:
        return await self.api.post(
            f"/pipelines/{slug}/execute", params={"wait": 20}, json={"input": {}}, headers=headers
        )

    async def spans(self, run_id: str, count: int) -> list[Span]:
        """Those of the trace to which the run belongs, once there are so many."""

        def found() -> list[Span]:
            spans = spans_of(self.collector)
            traces = {span.trace_id for span in spans if span.attributes.get("pipewright.run_id") == run_id}
            assert len(traces) <= 1, "a run has one trace"
            return [span for span in spans if span.trace_id in traces]

        await eventually(lambda: len(found()) >= count, f"{count} spans of {run_id}")
        return found()


@pytest.fixture(scope="module")
async def traced(
    postgres_module: str, nats_module: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Traced]:
    folder = tmp_path_factory.mktemp("traces")
    async with serving() as collector:
        collector.answers = [json({})]
        with ledger() as book:
            # The second is the SDK's own: how often it sends.
            settings = asking(book) | {"PIPEWRIGHT_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
            async with serving_all(folder, nats_module, postgres_module, settings, {}) as api:
                yield Traced(api, collector, book)


def tree(spans: list[Span]) -> dict[str, str]:
    """Each span's service and name -> the name of its parent."""
    names = {span.span_id: span.name for span in spans}
    return {f"{span.service}: {span.name}": names.get(span.parent_id, span.parent_id) for span in spans}


async def test_a_run_is_one_trace_from_its_caller_to_what_its_nodes_call(traced: Traced) -> None:
    url = f"{traced.ledger.url}/echo/all/traced?token=secret-in-the-query"
    document = pipeline(
        "traced",
        [
            text("words", "x"),
            fetch("call", url),
            {"key": "ask", "type": "llm", "config": {"prompt": "p", "model": "m"}},
        ],
        [edge("words", "call"), edge("call", "ask")],
    )
    await publish(traced.api, document)

    run = (await traced.run("traced", traceparent=TRACEPARENT)).json()
    assert run["status"] == "completed"
    spans = await traced.spans(run["id"], 8)

    request, start = "POST /pipelines/{pipeline}/execute", "start traced"
    assert tree(spans) == {
        f"pipewright-gateway: {request}": CALLER,
        f"pipewright-coordinator: {start}": request,
        "pipewright-worker: text words": start,
        "pipewright-worker: http_request call": start,
        "pipewright-worker: GET": "http_request call",
        "pipewright-worker: llm ask": start,
        "pipewright-worker: POST": "llm ask",
        "pipewright-coordinator: run traced": start,
    }
    assert {span.trace_id for span in spans} == {TRACE}
    # The other side was told of the span that called it.
    sent = (await traced.api.get(f"/pipeline_runs/{run['id']}?include=node_results")).json()
    [called] = [one["output"]["body"] for one in sent["node_results"] if one["node_key"] == "call"]
    [get] = [span for span in spans if span.name == "GET"]
    assert called["headers"]["traceparent"] == f"00-{TRACE}-{get.span_id}-01"
    [whole] = [span for span in spans if span.name == "run traced"]
    assert whole.seconds == pytest.approx(run["duration_ms"] / 1000, abs=1.0)


async def test_batches_of_the_coordinator_link_to_their_runs(traced: Traced) -> None:
    await publish(traced.api, pipeline("linked", [text("words", "x")]))
    run = (await traced.run("linked")).json()
    [trace_id] = {span.trace_id for span in await traced.spans(run["id"], 4)}

    def batches() -> list[Span]:
        return [span for span in spans_of(traced.collector) if trace_id in span.links]

    await eventually(lambda: batches(), "a batch with a link to it")
    assert {span.name for span in batches()} == {"settle results"}
    assert trace_id not in {span.trace_id for span in batches()}


async def test_what_fails_is_marked_with_its_code_and_nothing_secret_is_told(traced: Traced) -> None:
    url = f"{traced.ledger.url}/status/404/refused?token=secret-in-the-query"
    await publish(traced.api, pipeline("failing", [fetch("call", url)]))

    run = (await traced.run("failing")).json()
    spans = await traced.spans(run["id"], 5)

    failed = {span.name for span in spans if span.is_error}
    assert failed == {"http_request call", "run failing"}
    [get] = [span for span in spans if span.name == "GET"]
    assert get.attributes["http.response.status_code"] == 404
    assert b"secret-in-the-query" not in b"".join(request.body for request in traced.collector.requests)


async def test_a_caller_that_says_nonsense_gets_its_run_all_the_same(traced: Traced) -> None:
    await publish(traced.api, pipeline("nonsense", [text("words", "x")]))

    run = (await traced.run("nonsense", traceparent="not a trace")).json()

    assert run["status"] == "completed"
    assert len({span.trace_id for span in await traced.spans(run["id"], 4)}) == 1
