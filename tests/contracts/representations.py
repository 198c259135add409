"""The golden documents: each a request and its flat answer, made of the examples of the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel

from services.gateway.openapi.examples import (
    API_KEY,
    DELIVERY,
    EDGE_VIEW,
    FINDINGS,
    MADE_WEBHOOK,
    NODE_TYPE,
    NODE_VIEWS,
    PIPELINE,
    RESULTS,
    RUN,
    RUN_ID,
    VERSION,
    WEBHOOK,
    WEBHOOK_ID,
    WHOLE_PIPELINE,
    WHOLE_RUN,
    WHOLE_VERSION,
)
from shared.contracts.api_keys import ApiKeyPage
from shared.contracts.edits import NodePage
from shared.contracts.pipelines import NodeTypeList, PipelinePage
from shared.contracts.runs import NodeResultPage, RunPage
from shared.contracts.versions import VersionPage
from shared.contracts.webhooks import WebhookDeliveryPage, WebhookPage

#: Golden name -> the request and its flat answer.
ANSWERS: dict[str, tuple[str, BaseModel]] = {
    "pipelines.one": (
        "GET /pipelines/digest?include=nodes,edges",
        WHOLE_PIPELINE,
    ),
    "pipelines.list": (
        "GET /pipelines?page[limit]=1&filter[status]=active&fields[pipelines]=name,slug,nodes",
        PipelinePage(pipelines=[PIPELINE], next_after="digest"),
    ),
    "nodes.list": (
        "GET /pipelines/digest/nodes?page[limit]=2",
        NodePage(nodes=NODE_VIEWS),
    ),
    "edges.one": (
        "GET /pipelines/digest/edges/fetch.sorry.error",
        EDGE_VIEW,
    ),
    "versions.list": ("GET /pipelines/digest/versions", VersionPage(versions=[VERSION])),
    "versions.one": ("GET /pipelines/digest/versions/3", WHOLE_VERSION),
    "pipeline_runs.one": (
        f"GET /pipeline_runs/{RUN_ID}?include=node_results.attempts",
        WHOLE_RUN,
    ),
    "pipeline_runs.list": ("GET /pipeline_runs?sort=-created_at", RunPage(runs=[RUN], next_after=RUN_ID)),
    "pipeline_runs.started": ("POST /pipelines/digest/execute", RUN),
    "node_results.list": (f"GET /pipeline_runs/{RUN_ID}/node_results", NodeResultPage(node_results=RESULTS)),
    "node_types.list": ("GET /node_types", NodeTypeList(node_types=[NODE_TYPE])),
    "api_keys.list": ("GET /api_keys", ApiKeyPage(keys=[API_KEY])),
    "webhooks.made": (
        "POST /pipelines/digest/webhooks",
        MADE_WEBHOOK,
    ),
    "webhooks.list": ("GET /webhooks?filter[pipeline_id]=x", WebhookPage(webhooks=[WEBHOOK], next_after=WEBHOOK_ID)),
    "webhook_deliveries.list": (
        f"GET /webhooks/{WEBHOOK_ID}/deliveries?filter[status]=pending",
        WebhookDeliveryPage(webhook_deliveries=[DELIVERY]),
    ),
    "findings": (
        "POST /pipelines/digest/validate",
        FINDINGS,
    ),
}
