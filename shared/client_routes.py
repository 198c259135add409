"""The route of every request: how the client says over REST what it says on a subject (docs/api.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.contracts import subjects
from shared.contracts.rest import path_to

#: What only the gateway says, and what has a place of its own in a request.
ELSEWHERE = frozenset({"actor", "if_revision", "idempotency_key", "include_node_results"})


@dataclass(frozen=True)
class Route:
    """Fields that `path` names go there; of the others `body` is the whole body, or else they are the query of what
    reads, and the fields of the body of what changes."""

    method: str
    path: str
    body: str | None = None
    #: Field -> the name that it has over REST.
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RestRequest:
    """One request as it is sent."""

    method: str
    path: str
    query: dict[str, Any]
    body: Any
    headers: dict[str, str]


ROUTES: dict[str, Route] = {
    subjects.PIPELINES_CREATE: Route("POST", "pipelines", "document"),
    subjects.PIPELINES_APPLY: Route("POST", "pipelines/apply", "document"),
    subjects.PIPELINES_GET: Route("GET", "pipelines/{pipeline}"),
    subjects.PIPELINES_LIST: Route("GET", "pipelines"),
    subjects.PIPELINES_UPDATE: Route("PUT", "pipelines/{pipeline}", "document"),
    subjects.PIPELINES_PATCH: Route("PATCH", "pipelines/{pipeline}", "changes"),
    subjects.PIPELINES_DELETE: Route("DELETE", "pipelines/{pipeline}"),
    subjects.PIPELINES_PUBLISH: Route("POST", "pipelines/{pipeline}/publish"),
    subjects.PIPELINES_ARCHIVE: Route("POST", "pipelines/{pipeline}/archive"),
    subjects.PIPELINES_EXPORT: Route("GET", "pipelines/{pipeline}/export"),
    subjects.NODES_CREATE: Route("POST", "pipelines/{pipeline}/nodes", "node"),
    subjects.NODES_GET: Route("GET", "pipelines/{pipeline}/nodes/{key}"),
    subjects.NODES_LIST: Route("GET", "pipelines/{pipeline}/nodes"),
    subjects.NODES_UPDATE: Route("PUT", "pipelines/{pipeline}/nodes/{key}", "node"),
    subjects.NODES_PATCH: Route("PATCH", "pipelines/{pipeline}/nodes/{key}", "changes"),
    subjects.NODES_DELETE: Route("DELETE", "pipelines/{pipeline}/nodes/{key}"),
    subjects.EDGES_CREATE: Route("POST", "pipelines/{pipeline}/edges", "edge"),
    subjects.EDGES_GET: Route("GET", "pipelines/{pipeline}/edges/{id}"),
    subjects.EDGES_LIST: Route("GET", "pipelines/{pipeline}/edges"),
    subjects.EDGES_DELETE: Route("DELETE", "pipelines/{pipeline}/edges/{id}"),
    subjects.VERSIONS_LIST: Route("GET", "pipelines/{pipeline}/versions"),
    subjects.VERSIONS_READ: Route("GET", "pipelines/{pipeline}/versions/{number}"),
    subjects.VERSIONS_PUBLISH: Route("POST", "pipelines/{pipeline}/versions/{number}/publish"),
    subjects.VERSIONS_COMPARE: Route(
        "GET", "pipelines/{pipeline}/versions/{number}/difference", renamed={"other": "to"}
    ),
    subjects.NODE_TYPES_LIST: Route("GET", "node_types"),
    subjects.RUNS_START: Route("POST", "pipelines/{pipeline}/execute"),
    subjects.RUNS_GET: Route("GET", "pipeline_runs/{run_id}"),
    subjects.RUNS_LIST: Route("GET", "pipeline_runs"),
    subjects.RUNS_CANCEL: Route("POST", "pipeline_runs/{run_id}/cancel"),
    subjects.RUNS_RELEASE: Route("POST", "pipeline_runs/{run_id}/start"),
    subjects.RUNS_RETRY: Route("POST", "pipeline_runs/{run_id}/retry", renamed={"new_run_id": "run_id"}),
    subjects.RUNS_AUDIT: Route("GET", "pipeline_runs/{run_id}/audit"),
    subjects.NODE_RESULTS_LIST: Route("GET", "pipeline_runs/{run_id}/node_results"),
    subjects.NODE_RESULTS_GET: Route("GET", "pipeline_runs/{run_id}/node_results/{node_key}"),
    subjects.WEBHOOKS_GET: Route("GET", "webhooks/{webhook_id}"),
    subjects.WEBHOOKS_LIST: Route("GET", "webhooks"),
    subjects.WEBHOOKS_DELETE: Route("DELETE", "webhooks/{webhook_id}"),
    subjects.WEBHOOK_DELIVERIES_LIST: Route("GET", "webhooks/{webhook_id}/deliveries"),
    subjects.WEBHOOK_DELIVERIES_GET: Route("GET", "webhook_deliveries/{delivery_id}"),
    subjects.WEBHOOK_DELIVERIES_RESEND: Route("POST", "webhook_deliveries/{delivery_id}/resend"),
}
#: Of what has several routes: a field, and the route for its value, or for any value under `None`.
CHOICES: dict[str, tuple[tuple[str, str | None, Route], ...]] = {
    subjects.PIPELINES_VALIDATE: (
        ("pipeline", None, Route("POST", "pipelines/{pipeline}/validate")),
        ("document", None, Route("POST", "pipelines/validate", "document")),
    ),
    subjects.RUNS_SETTLE: (
        ("status", "completed", Route("POST", "pipeline_runs/{run_id}/complete", renamed={"status": ""})),
        ("status", "failed", Route("POST", "pipeline_runs/{run_id}/fail", renamed={"status": ""})),
    ),
    subjects.WEBHOOKS_CREATE: (
        ("pipeline_id", None, Route("POST", "pipelines/{pipeline_id}/webhooks")),
        ("run_id", None, Route("POST", "pipeline_runs/{run_id}/webhooks")),
    ),
}


def routes_of(subject: str) -> tuple[Route, ...]:
    """All routes that say the same as this subject."""
    if subject in ROUTES:
        return (ROUTES[subject],)
    return tuple(route for _, _, route in CHOICES.get(subject, ()))


def rest_request(subject: str, fields: dict[str, Any]) -> RestRequest:
    """The request by its route; names stay one part of the path, whatever they hold."""
    route = _route(subject, fields)
    in_path = {name for name in fields if f"{{{name}}}" in route.path}
    parts = [str(fields[part[1:-1]]) if part.startswith("{") else part for part in route.path.split("/")]
    rest = {route.renamed.get(name, name): value for name, value in fields.items() if name not in in_path | ELSEWHERE}
    rest.pop("", None)
    headers = {}
    if "if_revision" in fields:
        headers["if-match"] = f'"{fields["if_revision"]}"'
    if "idempotency_key" in fields:
        headers["idempotency-key"] = fields["idempotency_key"]
    if fields.get("include_node_results"):
        rest["include"] = "node_results"
    body = None
    if route.body is not None:
        body = rest.pop(route.body, None)
    elif route.method == "POST":
        rest, body = {}, rest
    return RestRequest(route.method, path_to(*parts), rest, body, headers)


def _route(subject: str, fields: dict[str, Any]) -> Route:
    if subject in ROUTES:
        return ROUTES[subject]
    return next(
        route for name, value, route in CHOICES[subject] if name in fields and (value is None or fields[name] == value)
    )
