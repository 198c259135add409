"""One of each resource with fixed values: what the golden documents show, flat and as JSON:API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from services.gateway.access import Scope
from services.gateway.api_key import ApiKey, ApiKeyPage
from shared.contracts.edits import EdgeView, Findings, NodePage, NodeView
from shared.contracts.pipelines import (
    EdgeDocument,
    NodeDocument,
    NodeTypeList,
    NodeTypeView,
    Pipeline,
    PipelineDocument,
    PipelinePage,
    Position,
    Retry,
)
from shared.contracts.problems import FieldProblem, NodeProblem
from shared.contracts.runs import Attempt, NodeResultPage, NodeResultView, Run, RunPage
from shared.contracts.states import AttemptOutcome, DeliveryStatus, NodeStatus, PipelineStatus, RunStatus
from shared.contracts.versions import PipelineVersion, VersionPage
from shared.contracts.webhooks import MadeWebhook, Webhook, WebhookDelivery, WebhookDeliveryPage, WebhookPage

PIPELINE_ID = UUID("01890a5d-ac96-774b-8000-000000000001")
RUN_ID = UUID("01890a5d-ac96-774b-8000-000000000002")
VERSION_ID = UUID("01890a5d-ac96-774b-8000-000000000003")
KEY_ID = UUID("01890a5d-ac96-774b-8000-000000000004")
WEBHOOK_ID = UUID("01890a5d-ac96-774b-8000-000000000005")
DELIVERY_ID = UUID("01890a5d-ac96-774b-8000-000000000006")
NOON = datetime(2024, 5, 6, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOON + timedelta(milliseconds=250)

NODES = [
    NodeDocument(
        key="fetch",
        type="http_request",
        name="Fetch the page",
        config={"url": "{{ input.url }}"},
        position=Position(x=1, y=2),
        retry=Retry(max_attempts=2),
        timeout_s=20,
    ),
    NodeDocument(key="sorry", type="text", config={"content": "{{ nodes.fetch.error.code }}"}),
]
EDGES = [EdgeDocument(source="fetch", target="sorry", branch="error")]
DOCUMENT = PipelineDocument(
    name="Digest", slug="digest", description="Reads a page.", input_schema={"type": "object"}, nodes=NODES, edges=EDGES
)
PIPELINE = Pipeline(
    id=PIPELINE_ID,
    slug="digest",
    name="Digest",
    description="Reads a page.",
    status=PipelineStatus.ACTIVE,
    input_schema={"type": "object"},
    active_version=3,
    revision=7,
    created_at=NOON,
    updated_at=LATER,
    node_count=2,
)
FAILURE = NodeProblem(code="http_status", message="The server answered 503.")
RESULTS = [
    NodeResultView(
        node_key="fetch",
        node_type="http_request",
        status=NodeStatus.FAILED,
        input={"input": {"url": "https://example.org"}},
        error=FAILURE,
        started_at=NOON,
        finished_at=LATER,
        metadata={"retry_count": 1},
        attempts=[
            Attempt(
                attempt=number,
                outcome=AttemptOutcome.FAILED,
                worker="http-1",
                error=FAILURE,
                started_at=NOON,
                finished_at=LATER,
                duration_ms=125.0,
            )
            for number in (1, 2)
        ],
    ),
    NodeResultView(
        node_key="sorry",
        node_type="text",
        status=NodeStatus.COMPLETED,
        input={"nodes": {"fetch": {"error": {"code": "http_status"}}}},
        output={"text": "http_status"},
        started_at=LATER,
        finished_at=LATER,
        attempts=[Attempt(attempt=1, outcome=AttemptOutcome.COMPLETED, worker="text-1")],
    ),
]
RUN = Run(
    id=RUN_ID,
    pipeline_id=PIPELINE_ID,
    pipeline_slug="digest",
    version=3,
    status=RunStatus.COMPLETED,
    input={"url": "https://example.org"},
    output={"sorry": {"text": "http_status"}},
    progress_percent=100,
    node_count=2,
    created_at=NOON,
    started_at=NOON,
    finished_at=LATER,
    duration_ms=250.0,
    seq=4,
)
VERSION = PipelineVersion(
    id=VERSION_ID, pipeline_id=PIPELINE_ID, number=3, is_active=True, published_at=LATER, node_count=2
)
NODE_TYPE = NodeTypeView(
    node_type="text",
    title="Text",
    description="Renders a text.",
    config_schema={"type": "object"},
    output_schema={"type": "object"},
    schema_version=1,
    default_timeout_s=10,
    is_fast=True,
    slots=8,
    workers=["text-1"],
    is_online=True,
)
API_KEY = ApiKey(id=KEY_ID, name="nightly", scopes=[Scope.RUNS_READ, Scope.RUNS_START], created_at=NOON)
WEBHOOK = Webhook(id=WEBHOOK_ID, pipeline_id=PIPELINE_ID, url="https://example.org/ends", created_at=NOON)
DELIVERY = WebhookDelivery(
    id=DELIVERY_ID,
    webhook_id=WEBHOOK_ID,
    run_id=RUN_ID,
    status=DeliveryStatus.PENDING,
    attempt_count=1,
    next_attempt_at=LATER,
    last_status=500,
    last_error="https://example.org/ends answered 500.",
    created_at=NOON,
)

#: Golden name -> the request and its flat answer.
ANSWERS: dict[str, tuple[str, BaseModel]] = {
    "pipelines.one": (
        "GET /pipelines/digest?include=nodes,edges",
        PIPELINE.model_copy(update={"nodes": NODES, "edges": EDGES}),
    ),
    "pipelines.list": (
        "GET /pipelines?page[limit]=1&filter[status]=active&fields[pipelines]=name,slug,nodes",
        PipelinePage(pipelines=[PIPELINE], next_after="digest"),
    ),
    "nodes.list": (
        "GET /pipelines/digest/nodes?page[limit]=2",
        NodePage(nodes=[NodeView(pipeline_id=PIPELINE_ID, revision=7, **dict(node)) for node in NODES]),
    ),
    "edges.one": (
        "GET /pipelines/digest/edges/fetch.sorry.error",
        EdgeView(
            id="fetch.sorry.error",
            pipeline_id=PIPELINE_ID,
            revision=7,
            source="fetch",
            target="sorry",
            branch="error",
        ),
    ),
    "versions.list": ("GET /pipelines/digest/versions", VersionPage(versions=[VERSION])),
    "versions.one": ("GET /pipelines/digest/versions/3", VERSION.model_copy(update={"document": DOCUMENT})),
    "pipeline_runs.one": (
        f"GET /pipeline_runs/{RUN_ID}?include=node_results.attempts",
        RUN.model_copy(update={"node_results": RESULTS}),
    ),
    "pipeline_runs.list": ("GET /pipeline_runs?sort=-created_at", RunPage(runs=[RUN], next_after=RUN_ID)),
    "pipeline_runs.started": ("POST /pipelines/digest/execute", RUN),
    "node_results.list": (f"GET /pipeline_runs/{RUN_ID}/node_results", NodeResultPage(node_results=RESULTS)),
    "node_types.list": ("GET /node_types", NodeTypeList(node_types=[NODE_TYPE])),
    "api_keys.list": ("GET /api_keys", ApiKeyPage(keys=[API_KEY])),
    "webhooks.made": (
        "POST /pipelines/digest/webhooks",
        MadeWebhook(**dict(WEBHOOK), secret="whsec_c2l4dGVlbiBieXRlcyBhcmUgbm90IGVub3VnaCE="),
    ),
    "webhooks.list": ("GET /webhooks?filter[pipeline_id]=x", WebhookPage(webhooks=[WEBHOOK], next_after=WEBHOOK_ID)),
    "webhook_deliveries.list": (
        f"GET /webhooks/{WEBHOOK_ID}/deliveries?filter[status]=pending",
        WebhookDeliveryPage(webhook_deliveries=[DELIVERY]),
    ),
    "findings": (
        "POST /pipelines/digest/validate",
        Findings(is_valid=False, errors=[FieldProblem(pointer="/nodes/0/config", detail="Field required")]),
    ),
}


def as_sent(model: BaseModel) -> Any:
    """What a client gets."""
    return model.model_dump(mode="json")
