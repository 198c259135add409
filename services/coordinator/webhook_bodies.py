"""What a webhook is told of a run's end: the run as the API shows it, bounded, and the same at every attempt."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson

from services.coordinator import views
from services.coordinator.store import reading
from services.coordinator.store.webhooks import output_bytes
from services.coordinator.versions import Versions
from shared.contracts.rest import path_to
from shared.contracts.states import RunStatus
from shared.postgres import Connection

#: Of the whole body; an output that does not fit is left out.
BODY_LIMIT = 128 * 1024
#: What is told of a run.
FIELDS = (
    "id", "pipeline_id", "pipeline_slug", "version", "status", "output", "error", "created_at", "started_at",
    "finished_at", "duration_ms", "retry_of",
)  # fmt: skip


async def end_body(connection: Connection, versions: Versions, run_id: UUID) -> str:
    """JSON of `{type, timestamp, data}`; the run has ended."""
    row = await reading.load_run(connection, run_id)
    assert row is not None, "a delivery holds on to its run"
    graph = await versions.graph(connection, row["version_id"]) if row["version_id"] else None
    output: dict[str, Any] | None = None
    is_omitted = False
    if graph is not None and row["status"] == RunStatus.COMPLETED:
        is_omitted = await output_bytes(connection, run_id, graph.leaves) > BODY_LIMIT
        if not is_omitted:
            output = views.run_output(graph, await reading.load_nodes(connection, run_id, graph.leaves))
    run = views.run_view(row, output)
    body = _encode(run, is_omitted)
    if len(body) > BODY_LIMIT and output is not None:
        body = _encode(run | {"output": None}, is_omitted=True)
    return body.decode()


def _encode(run: dict[str, Any], is_omitted: bool) -> bytes:
    data = {name: run[name] for name in FIELDS}
    data |= {"output_omitted": is_omitted, "path": path_to("pipeline_runs", run["id"])}
    return orjson.dumps({"type": f"pipeline_run.{run['status']}", "timestamp": run["finished_at"], "data": data})
