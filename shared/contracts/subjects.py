"""Who talks to whom: every subject, stream, durable and bucket that Pipewright uses, spelled once."""

from __future__ import annotations

import re
from typing import Literal

#: Every subject begins with it.
PREFIX = "pipewright"

# Streams
RUN_REQUESTS = "RUN_REQUESTS"
NODE_WORK = "NODE_WORK"
NODE_RESULTS = "NODE_RESULTS"
RUN_EVENTS = "RUN_EVENTS"
DEAD_LETTERS = "DEAD_LETTERS"

# Durable consumers; the durable of a node type on NODE_WORK has the type's own name.
RUN_REQUESTS_DURABLE = "coordinator"
NODE_RESULTS_DURABLE = "coordinator"

#: The node type that delivers webhooks: coordinator -> the http worker. No pipeline can use it.
WEBHOOK = "webhook"

# Buckets, and the streams that keep them
NODE_TYPES_BUCKET = "node_types"
NODE_TYPES_STREAM = f"KV_{NODE_TYPES_BUCKET}"
ENDED_RUNS_BUCKET = "ended_runs"
ENDED_RUNS_STREAM = f"KV_{ENDED_RUNS_BUCKET}"
TRANSFERS_BUCKET = "transfers"
TRANSFERS_STREAM = f"OBJ_{TRANSFERS_BUCKET}"

#: Anyone inside -> coordinator, on RUN_REQUESTS.
RUN_REQUEST = f"{PREFIX}.run.request"

RunEventKind = Literal["started", "progressed", "completed", "failed", "cancelled"]

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


def _token(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError(f"{value!r} cannot be part of a subject: letters, digits, '_' and '-' only")
    return value


def node_ready(node_type: str) -> str:
    """Coordinator -> the executors of that type, on NODE_WORK."""
    return f"{PREFIX}.node.ready.{_token(node_type)}"


def node_result(node_type: str) -> str:
    """Executors -> coordinator, on NODE_RESULTS."""
    return f"{PREFIX}.node.result.{_token(node_type)}"


def node_running(node_type: str) -> str:
    """Executors -> coordinator, core: the attempts that a worker holds."""
    return f"{PREFIX}.node.running.{_token(node_type)}"


def node_tokens(run_id: str) -> str:
    """Executors -> gateway, core, best effort: the text of a model as it comes."""
    return f"{PREFIX}.node.tokens.{_token(run_id)}"


def run_event(kind: RunEventKind) -> str:
    """Coordinator -> gateway and any internal listener, on RUN_EVENTS."""
    return f"{PREFIX}.run.event.{kind}"


def dead_letter(kind: str) -> str:
    """Whoever could not read a message -> operators, on DEAD_LETTERS."""
    return f"{PREFIX}.dead.{_token(kind)}"


def announcement(node_type: str, worker: str) -> str:
    """Executors -> definition and coordinator, in the bucket `node_types`: what a worker serves."""
    return f"$KV.{NODE_TYPES_BUCKET}.{_token(node_type)}.{_token(worker)}"


def transfer_info(encoded_name: str) -> str:
    """In the bucket `transfers`: what an object is made of; its name in URL-safe base64."""
    return f"$O.{TRANSFERS_BUCKET}.M.{encoded_name}"


def transfer_parts(name: str) -> str:
    """In the bucket `transfers`: the parts of an object, in their order."""
    return f"$O.{TRANSFERS_BUCKET}.C.{_token(name)}"


def rpc(resource: str, verb: str) -> str:
    """Request and reply, core: the answer is the resource, or `{"error": problem details}`."""
    return f"{PREFIX}.rpc.{_token(resource)}.{_token(verb)}"


ALL_NODE_READY = f"{PREFIX}.node.ready.*"
ALL_NODE_RESULTS = f"{PREFIX}.node.result.*"
ALL_NODE_RUNNING = f"{PREFIX}.node.running.*"
ALL_RUN_EVENTS = f"{PREFIX}.run.event.*"
ALL_DEAD_LETTERS = f"{PREFIX}.dead.*"
#: Executors -> definition service and coordinators, in the bucket `node_types`: the type, then the worker.
ALL_ANNOUNCEMENTS = f"$KV.{NODE_TYPES_BUCKET}.*.*"
#: Coordinator -> executors, in the bucket `ended_runs`: the last part is the run's id.
ALL_ENDED_RUNS = f"$KV.{ENDED_RUNS_BUCKET}.*"
#: NATS -> coordinator: that bucket was made, and is empty.
ENDED_RUNS_MADE = f"$JS.EVENT.ADVISORY.STREAM.CREATED.{ENDED_RUNS_STREAM}"

# Definition service
PIPELINES_CREATE = rpc("pipelines", "create")
PIPELINES_APPLY = rpc("pipelines", "apply")
PIPELINES_GET = rpc("pipelines", "get")
PIPELINES_LIST = rpc("pipelines", "list")
PIPELINES_UPDATE = rpc("pipelines", "update")
PIPELINES_PATCH = rpc("pipelines", "patch")
PIPELINES_DELETE = rpc("pipelines", "delete")
PIPELINES_PUBLISH = rpc("pipelines", "publish")
PIPELINES_ARCHIVE = rpc("pipelines", "archive")
PIPELINES_VALIDATE = rpc("pipelines", "validate")
PIPELINES_EXPORT = rpc("pipelines", "export")
NODES_CREATE = rpc("nodes", "create")
NODES_GET = rpc("nodes", "get")
NODES_LIST = rpc("nodes", "list")
NODES_UPDATE = rpc("nodes", "update")
NODES_PATCH = rpc("nodes", "patch")
NODES_DELETE = rpc("nodes", "delete")
EDGES_CREATE = rpc("edges", "create")
EDGES_GET = rpc("edges", "get")
EDGES_LIST = rpc("edges", "list")
EDGES_DELETE = rpc("edges", "delete")
VERSIONS_LIST = rpc("versions", "list")
VERSIONS_READ = rpc("versions", "read")
VERSIONS_PUBLISH = rpc("versions", "publish")
VERSIONS_COMPARE = rpc("versions", "compare")
VERSIONS_RESOLVE = rpc("versions", "resolve")
VERSIONS_GET = rpc("versions", "get")
NODE_TYPES_LIST = rpc("node_types", "list")

# Coordinator
RUNS_START = rpc("runs", "start")
RUNS_GET = rpc("runs", "get")
RUNS_LIST = rpc("runs", "list")
RUNS_CANCEL = rpc("runs", "cancel")
RUNS_RELEASE = rpc("runs", "release")
RUNS_SETTLE = rpc("runs", "settle")
RUNS_RETRY = rpc("runs", "retry")
RUNS_AUDIT = rpc("runs", "audit")
NODE_RESULTS_LIST = rpc("node_results", "list")
NODE_RESULTS_GET = rpc("node_results", "get")
WEBHOOKS_CREATE = rpc("webhooks", "create")
WEBHOOKS_GET = rpc("webhooks", "get")
WEBHOOKS_LIST = rpc("webhooks", "list")
WEBHOOKS_DELETE = rpc("webhooks", "delete")
WEBHOOK_DELIVERIES_LIST = rpc("webhook_deliveries", "list")
WEBHOOK_DELIVERIES_GET = rpc("webhook_deliveries", "get")
WEBHOOK_DELIVERIES_RESEND = rpc("webhook_deliveries", "resend")
