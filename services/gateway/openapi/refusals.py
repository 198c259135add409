"""Which problems a route may answer, as far as the shape of its operation tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.gateway.jsonapi.places import Place

#: JSON:API is spoken everywhere, so that a wish which cannot be granted is refused everywhere.
ALWAYS = ("invalid_query", "not_acceptable")
#: Whoever has a key is told of parameters that nobody knows, also where there are none.
WITH_KEY = (
    "missing_key", "wrong_key", "missing_scope", "too_many_requests", "database_unavailable", "invalid_request",
)  # fmt: skip
#: Where a parameter stands and its name -> what becomes of one that leads nowhere.
BY_PARAMETER = {
    ("path", "pipeline"): ("pipeline_not_found", "invalid_pipeline"),
    ("query", "pipeline"): ("pipeline_not_found", "invalid_pipeline"),
    ("path", "key"): ("node_not_found",),
    ("path", "edge_id"): ("edge_not_found",),
    ("path", "number"): ("version_not_found",),
    ("path", "run_id"): ("run_not_found", "run_not_known_yet"),
    ("path", "node_key"): ("node_not_found",),
    ("path", "webhook_id"): ("webhook_not_found",),
    ("path", "delivery_id"): ("delivery_not_found",),
    ("path", "key_id"): ("key_not_found",),
    ("header", "if-match"): ("invalid_etag", "changed_meanwhile"),
    ("header", "last-event-id"): ("invalid_event_id",),
}
#: Bodies that the definition service checks; of all others the gateway finds what is wrong.
DOCUMENTS = frozenset({"PipelineDocument", "NodeDocument", "EdgeDocument"})


def usual_problems(operation: dict[str, Any], method: str, path: str, place: Place) -> set[str]:
    """Types; what only this route knows is not among them."""
    return set(_problems(operation, method, path, place))


def _problems(operation: dict[str, Any], method: str, path: str, place: Place) -> Iterator[str]:
    yield from ALWAYS
    if "security" in operation:
        yield from WITH_KEY
        if "/api_keys" not in path:  # all others stand behind NATS
            yield "service_unavailable"
    for parameter in operation.get("parameters", []):
        yield from BY_PARAMETER.get((parameter["in"], parameter["name"]), ())
    if method in ("post", "put", "patch"):
        yield "unsupported_media_type"
    if "requestBody" in operation:
        yield from _of_body(operation, place)


def _of_body(operation: dict[str, Any], place: Place) -> Iterator[str]:
    yield from ("invalid_json", "body_too_large", "invalid_document")
    schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    if schema.rpartition("/")[2].partition("-")[0] not in DOCUMENTS:
        yield "invalid_body"
    if place.takes is not None:
        yield "another_resource"
        if place.name is None:
            yield "client_generated_id"
