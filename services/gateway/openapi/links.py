"""Where an answer leads: what was made can be used in every route that takes its name."""

from __future__ import annotations

from typing import Any

#: Kind of an answer -> the parameters of paths that it gives, each with its place in the flat answer.
GIVES: dict[str, dict[str, str]] = {
    "Pipeline": {"pipeline": "/id"},
    "NodeView": {"pipeline": "/pipeline_id", "key": "/key"},
    "EdgeView": {"pipeline": "/pipeline_id", "edge_id": "/id"},
    "Run": {"run_id": "/id"},
    "MadeWebhook": {"webhook_id": "/id"},
    "WebhookDelivery": {"delivery_id": "/id"},
    "MadeApiKey": {"key_id": "/id"},
}
#: Answers that tell of something new.
MADE = ("201", "202")


def add_links(operations: list[dict[str, Any]], kinds: dict[str, dict[str, str]]) -> None:
    """`kinds`: of each operation, by its id, what each status answers."""
    for operation in operations:
        for status, kind in kinds[operation["operationId"]].items():
            if status in MADE and kind in GIVES:
                operation["responses"][status]["links"] = _links(operations, GIVES[kind])


def _links(operations: list[dict[str, Any]], given: dict[str, str]) -> dict[str, Any]:
    """To every operation whose path names just what is given."""
    return {
        operation["operationId"]: {
            "operationId": operation["operationId"],
            "description": operation["summary"],
            "parameters": {name: f"$response.body#{place}" for name, place in given.items()},
        }
        for operation in operations
        if {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
        == set(given)
    }
