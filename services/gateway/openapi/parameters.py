"""What parameters mean that several routes have, each with an example."""

from __future__ import annotations

from typing import Any

from services.gateway.openapi.examples import DELIVERY_ID, KEY_ID, NOON, PIPELINE_ID, RUN_ID, WEBHOOK_ID

#: Name -> what it is, and a value that it may have. What a route says itself comes first.
KNOWN: dict[str, tuple[str, Any]] = {
    # In paths
    "pipeline": ("Slug or id of the pipeline", "digest"),
    "key": ("Key of the node", "fetch"),
    "edge_id": ("`source.target`, or `source.target.branch`", "fetch.sorry.error"),
    "number": ("Number of the version", 3),
    "run_id": ("Id of the run", str(RUN_ID)),
    "node_key": ("Key of the node", "fetch"),
    "webhook_id": ("Id of the webhook", str(WEBHOOK_ID)),
    "delivery_id": ("Id of the delivery", str(DELIVERY_ID)),
    "key_id": ("Id of the API key", str(KEY_ID)),
    # In queries
    "limit": ("Most items on the page", 50),
    "status": ("Only what is in this state", None),
    "pipeline_id": ("Only of the pipeline with this id", str(PIPELINE_ID)),
    "created_after": ("Time with its zone, itself included", NOON.isoformat()),
    "created_before": ("Time with its zone, itself included", NOON.isoformat()),
    "include": ("What else is told", "node_results"),
    "wait": ("Seconds to wait for the run's end", 10),
    "publish": ("Also make a version of it, if anything changed", True),
    "format": ("json or yaml", "yaml"),
    "to": ("Number of the other version; left out: the draft", 3),
    # Headers
    "if-match": ("The ETag of what was read; refused with 412 when it differs", '"7"'),
    "idempotency-key": ("The same key and body give the same answer, another body 409", "order-4711"),
    "traceparent": (
        "W3C Trace Context: the run belongs to this trace",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
    "last-event-id": ("The id that was told last", "4"),
}
#: Parameters whose example depends on what is listed.
_STATUSES = {"PipelineStatus": "active", "RunStatus": "completed", "NodeStatus": "failed", "DeliveryStatus": "pending"}
_AFTER = {"uuid": str(RUN_ID), "integer": 3, "string": "digest"}


def describe(parameter: dict[str, Any]) -> None:
    """Add what the route left out."""
    about, example = KNOWN.get(parameter["name"], ("", None))
    parameter.setdefault("description", about)
    if parameter["name"] == "status":
        example = next(value for name, value in _STATUSES.items() if name in str(parameter["schema"]))
    elif parameter["name"] == "after":
        example = next(value for name, value in _AFTER.items() if f"'{name}'" in str(parameter["schema"]))
    elif parameter["name"] == "sort":
        example = parameter["schema"]["default"]
    parameter.setdefault("example", example)
