"""One of each resource with fixed values: the examples of the OpenAPI document, and what golden documents show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from shared.contracts.api_keys import ApiKey, ApiKeyPage, MadeApiKey, NewApiKey, Scope
from shared.contracts.edits import EdgePage, EdgeView, Findings, NodePage, NodeView, edge_id
from shared.contracts.pipelines import (
    Applied,
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
from shared.contracts.runs import (
    Attempt,
    AuditEntry,
    AuditTrail,
    NodeResultPage,
    NodeResultView,
    Run,
    RunPage,
)
from shared.contracts.states import AttemptOutcome, DeliveryStatus, NodeStatus, PipelineStatus, RunStatus
from shared.contracts.versions import (
    EdgeName,
    NodeDifference,
    PipelineVersion,
    ValueChange,
    VersionDifference,
    VersionPage,
)
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

WHOLE_PIPELINE = PIPELINE.model_copy(update={"nodes": NODES, "edges": EDGES})
DRAFT = WHOLE_PIPELINE.model_copy(
    update={"status": PipelineStatus.DRAFT, "active_version": None, "revision": 1, "updated_at": NOON}
)
ARCHIVED = WHOLE_PIPELINE.model_copy(update={"status": PipelineStatus.ARCHIVED})
NODE_VIEWS = [NodeView(pipeline_id=PIPELINE_ID, revision=7, **dict(node)) for node in NODES]
EDGE_VIEW = EdgeView(
    id=edge_id("fetch", "sorry", "error"), pipeline_id=PIPELINE_ID, revision=7, **EDGES[0].model_dump()
)
WHOLE_VERSION = VERSION.model_copy(update={"document": DOCUMENT})
DIFFERENCE = VersionDifference(
    number=2,
    other=3,
    changes=[ValueChange(pointer="/description", before="", after="Reads a page.")],
    nodes_added=["sorry"],
    nodes_changed=[NodeDifference(key="fetch", changes=[ValueChange(pointer="/timeout_s", before=10, after=20)])],
    edges_added=[EdgeName(source="fetch", target="sorry", branch="error")],
)
WHOLE_RUN = RUN.model_copy(update={"node_results": RESULTS})
_GOES_ON = {"output": None, "finished_at": None, "duration_ms": None}
STARTED = RUN.model_copy(
    update={**_GOES_ON, "status": RunStatus.RUNNING, "progress_percent": 0, "started_at": None, "seq": 1}
)
CANCELLED = RUN.model_copy(update={"status": RunStatus.CANCELLED, "output": None, "progress_percent": 50})
FAILED = CANCELLED.model_copy(
    update={
        "status": RunStatus.FAILED,
        "error": NodeProblem(code="failed_by_hand", message="the input was wrong"),
    }
)
MADE_API_KEY = MadeApiKey(**dict(API_KEY), key="pw_c2l4dGVlbiBieXRlcyBhcmUgbm90IGVub3VnaCE_aaaa")
MADE_WEBHOOK = MadeWebhook(**dict(WEBHOOK), secret="whsec_c2l4dGVlbiBieXRlcyBhcmUgbm90IGVub3VnaCE=")  # noqa: S106  # nobody's
AUDIT = AuditTrail(audit=[AuditEntry(action="cancel", actor="nightly", reason="asked for by mistake", at=LATER)])
FINDINGS = Findings(is_valid=False, errors=[FieldProblem(pointer="/nodes/0/config", detail="Field required")])

#: What is shown of each kind of body and answer, unless a route names another one.
_SHOWN: tuple[BaseModel, ...] = (
    # Bodies
    DOCUMENT,
    NODES[0],
    EDGES[0],
    NewApiKey(name="nightly", scopes=frozenset({Scope.RUNS_READ})),
    # Answers
    WHOLE_PIPELINE,
    PipelinePage(pipelines=[PIPELINE], next_after="digest"),
    Applied(pipeline=WHOLE_PIPELINE, outcome="updated"),
    FINDINGS,
    NODE_VIEWS[0],
    NodePage(nodes=NODE_VIEWS),
    EDGE_VIEW,
    EdgePage(edges=[EDGE_VIEW]),
    WHOLE_VERSION,
    VersionPage(versions=[VERSION]),
    DIFFERENCE,
    RUN,
    # Lists leave outputs out.
    RunPage(runs=[RUN.model_copy(update={"output": None})], next_after=RUN_ID),
    RESULTS[0],
    NodeResultPage(node_results=RESULTS),
    AUDIT,
    NodeTypeList(node_types=[NODE_TYPE]),
    WEBHOOK,
    MADE_WEBHOOK,
    WebhookPage(webhooks=[WEBHOOK], next_after=WEBHOOK_ID),
    DELIVERY,
    WebhookDeliveryPage(webhook_deliveries=[DELIVERY]),
    API_KEY,
    MADE_API_KEY,
    ApiKeyPage(keys=[API_KEY]),
)
EXAMPLES = {type(shown): shown for shown in _SHOWN}


def as_sent(value: BaseModel) -> Any:
    """What a client gets."""
    return value.model_dump(mode="json")


def as_written(value: BaseModel) -> Any:
    """What a client sends: no more than it wants to say."""
    return value.model_dump(mode="json", exclude_unset=True)
