"""Who says what to whom: every subject with its message, its senders and receivers, and what keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import getdoc
from typing import Any, get_args

from pydantic import BaseModel

from shared.contracts import edits, nodes, pipelines, runs, subjects, versions, webhooks
from shared.contracts.message import Message

#: What stands for a part of a subject that differs from message to message.
PART = "PART"


@dataclass(frozen=True)
class Channel:
    """Who says what to whom on one subject."""

    subject: str
    message: type[BaseModel]
    #: Services, with spaces between; a client is any other service inside.
    senders: str
    receivers: str
    about: str
    #: The stream or bucket that keeps it; None for core NATS.
    kept: str | None = None
    reply: type[BaseModel] | None = None
    #: Values that a part of the subject may have, when they are few.
    values: dict[str, list[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`pipewright.node.ready.{node_type}` -> `node_ready`."""
        parts = self.subject.removeprefix(f"{subjects.PREFIX}.").removeprefix("$KV.").split(".")
        return "_".join(part for part in parts if not part.startswith("{"))


def _of(subject: Callable[[Any], str], part: str, **more: Any) -> dict[str, Any]:
    """The address with its variable part named, and the words that stand with the subject."""
    return {"subject": subject(PART).replace(PART, f"{{{part}}}"), "about": getdoc(subject) or "", **more}


def _rpc(
    service: str, subject: str, request: type[Message], reply: type[BaseModel], senders: str = "gateway client"
) -> Channel:
    return Channel(subject, request, senders, service, getdoc(request) or "", reply=reply)


#: Every subject and every bucket whose values are messages.
CHANNELS = (
    Channel(
        subjects.RUN_REQUEST,
        runs.RunRequested,
        "gateway client",
        "coordinator",
        "Anyone inside -> coordinator: the acknowledgement of the stream is the receipt.",
        kept=subjects.RUN_REQUESTS,
    ),
    Channel(
        message=nodes.NodeReady,
        senders="coordinator",
        receivers="executor",
        kept=subjects.NODE_WORK,
        **_of(subjects.node_ready, "node_type"),
    ),
    Channel(
        message=nodes.NodesFinished,
        senders="executor",
        receivers="coordinator",
        kept=subjects.NODE_RESULTS,
        **_of(subjects.node_result, "node_type"),
    ),
    Channel(
        message=nodes.NodesRunning,
        senders="executor",
        receivers="coordinator",
        **_of(subjects.node_running, "node_type"),
    ),
    Channel(message=nodes.NodeTokens, senders="executor", receivers="gateway", **_of(subjects.node_tokens, "run_id")),
    Channel(
        message=runs.RunEvent,
        senders="coordinator",
        receivers="gateway client",
        kept=subjects.RUN_EVENTS,
        **_of(subjects.run_event, "kind", values={"kind": list(get_args(subjects.RunEventKind))}),
    ),
    Channel(
        message=runs.Parked,
        senders="coordinator definition executor",
        receivers="operator",
        kept=subjects.DEAD_LETTERS,
        **_of(subjects.dead_letter, "kind"),
    ),
    Channel(
        f"$KV.{subjects.NODE_TYPES_BUCKET}.{{node_type}}.{{worker}}",
        nodes.NodeTypeAnnounced,
        "executor",
        "definition",
        "Executors -> definition, in the key-value bucket: put at start and every 30 s, deleted on a clean stop.",
        kept=subjects.NODE_TYPES_STREAM,
    ),
    _rpc("definition", subjects.PIPELINES_CREATE, pipelines.PipelineCreate, pipelines.Pipeline),
    _rpc("definition", subjects.PIPELINES_APPLY, pipelines.PipelineApply, pipelines.Applied),
    _rpc("definition", subjects.PIPELINES_GET, pipelines.PipelineGet, pipelines.Pipeline),
    _rpc("definition", subjects.PIPELINES_LIST, pipelines.PipelineList, pipelines.PipelinePage),
    _rpc("definition", subjects.PIPELINES_UPDATE, pipelines.PipelineUpdate, pipelines.Pipeline),
    _rpc("definition", subjects.PIPELINES_PATCH, pipelines.PipelinePatch, pipelines.Pipeline),
    _rpc("definition", subjects.PIPELINES_DELETE, pipelines.PipelineGet, pipelines.Pipeline),
    _rpc("definition", subjects.PIPELINES_PUBLISH, pipelines.PipelineGet, pipelines.Pipeline),
    _rpc("definition", subjects.PIPELINES_ARCHIVE, pipelines.PipelineGet, pipelines.Pipeline),
    _rpc("definition", subjects.PIPELINES_VALIDATE, edits.PipelineValidate, edits.Findings),
    _rpc("definition", subjects.PIPELINES_EXPORT, pipelines.PipelineGet, pipelines.PipelineDocument),
    _rpc("definition", subjects.NODES_CREATE, edits.NodeCreate, edits.NodeView),
    _rpc("definition", subjects.NODES_GET, edits.NodeGet, edits.NodeView),
    _rpc("definition", subjects.NODES_LIST, edits.NodesList, edits.NodePage),
    _rpc("definition", subjects.NODES_UPDATE, edits.NodeUpdate, edits.NodeView),
    _rpc("definition", subjects.NODES_PATCH, edits.NodePatch, edits.NodeView),
    _rpc("definition", subjects.NODES_DELETE, edits.NodeDelete, edits.NodeView),
    _rpc("definition", subjects.EDGES_CREATE, edits.EdgeCreate, edits.EdgeView),
    _rpc("definition", subjects.EDGES_GET, edits.EdgeGet, edits.EdgeView),
    _rpc("definition", subjects.EDGES_LIST, edits.EdgesList, edits.EdgePage),
    _rpc("definition", subjects.EDGES_DELETE, edits.EdgeDelete, edits.EdgeView),
    _rpc("definition", subjects.VERSIONS_LIST, versions.VersionsList, versions.VersionPage),
    _rpc("definition", subjects.VERSIONS_READ, versions.VersionRead, versions.PipelineVersion),
    _rpc("definition", subjects.VERSIONS_PUBLISH, versions.VersionPublish, pipelines.Pipeline),
    _rpc("definition", subjects.VERSIONS_COMPARE, versions.VersionsCompare, versions.VersionDifference),
    _rpc("definition", subjects.VERSIONS_RESOLVE, pipelines.VersionsResolve, pipelines.VersionsResolved, "coordinator"),
    _rpc("definition", subjects.VERSIONS_GET, pipelines.VersionGet, pipelines.CompiledVersion, "coordinator"),
    _rpc("definition", subjects.NODE_TYPES_LIST, pipelines.NodeTypesList, pipelines.NodeTypeList),
    _rpc("coordinator", subjects.RUNS_START, runs.RunRequested, runs.RunStarted),
    _rpc("coordinator", subjects.RUNS_GET, runs.RunGet, runs.Run),
    _rpc("coordinator", subjects.RUNS_LIST, runs.RunList, runs.RunPage),
    _rpc("coordinator", subjects.RUNS_CANCEL, runs.RunCancel, runs.Run),
    _rpc("coordinator", subjects.RUNS_RELEASE, runs.RunRelease, runs.Run),
    _rpc("coordinator", subjects.RUNS_SETTLE, runs.RunSettle, runs.Run),
    _rpc("coordinator", subjects.RUNS_RETRY, runs.RunRetry, runs.Run),
    _rpc("coordinator", subjects.RUNS_AUDIT, runs.RunAudit, runs.AuditTrail),
    _rpc("coordinator", subjects.NODE_RESULTS_LIST, runs.NodeResultsList, runs.NodeResultPage),
    _rpc("coordinator", subjects.NODE_RESULTS_GET, runs.NodeResultGet, runs.NodeResultView),
    _rpc("coordinator", subjects.WEBHOOKS_CREATE, webhooks.WebhookCreate, webhooks.MadeWebhook),
    _rpc("coordinator", subjects.WEBHOOKS_GET, webhooks.WebhookGet, webhooks.Webhook),
    _rpc("coordinator", subjects.WEBHOOKS_LIST, webhooks.WebhooksList, webhooks.WebhookPage),
    _rpc("coordinator", subjects.WEBHOOKS_DELETE, webhooks.WebhookDelete, webhooks.Webhook),
    _rpc("coordinator", subjects.WEBHOOK_DELIVERIES_LIST, webhooks.WebhookDeliveriesList, webhooks.WebhookDeliveryPage),
    _rpc("coordinator", subjects.WEBHOOK_DELIVERIES_GET, webhooks.WebhookDeliveryGet, webhooks.WebhookDelivery),
    _rpc("coordinator", subjects.WEBHOOK_DELIVERIES_RESEND, webhooks.WebhookDeliveryResend, webhooks.WebhookDelivery),
)
