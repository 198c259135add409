"""SQL of starting: runs and their node results are inserted together, for a whole batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.coordinator.state import RunId, RunState
from services.coordinator.store.queues import queue_parts
from services.coordinator.store.together import BEGIN, Call, execute_together
from shared.postgres import Connection, as_json


async def insert_runs(
    connection: Connection,
    runs: Sequence[dict[str, Any]],
    windows: Mapping[str, int],
    released: Iterable[RunState] = (),
) -> dict[RunId, datetime | None]:
    """Insert the runs that are not there yet, with their nodes; returns when each of those began, None when held.

    `released` are those that begin. When nodes of one wait for room, this is a transaction of its own.
    """
    sizes = [{"node_type": kind, "size": size} for kind, size in windows.items()]
    wide = [run for run in released if run.queued]
    call = Call("insert_runs", (as_json(runs), as_json(sizes)))
    [rows] = await execute_together(connection, [call], begins=BEGIN if wide else "")
    began = {row["id"]: row["started_at"] for row in rows}
    if wide:
        queued = {(run.id, kind): keys for run in wide if run.id in began for kind, keys in run.queued.items()}
        await execute_together(connection, [Call("queue_nodes", (as_json(queue_parts(queued)),))], commits=True)
    return began


async def find_by_id(connection: Connection, run_ids: Iterable[RunId]) -> list[dict[str, Any]]:
    cursor = await connection.execute(
        "SELECT id::text AS id, status::text AS status, request_sha256, pipeline_id, pipeline_slug "
        "FROM runs.pipeline_runs WHERE id = ANY(%s::uuid[])",
        (list(run_ids),),
    )
    return await cursor.fetchall()


async def find_by_key(connection: Connection, keys: Iterable[tuple[UUID, str]]) -> list[dict[str, Any]]:
    """The runs that were started with these idempotency keys of these pipelines."""
    wanted = [{"pipeline_id": str(pipeline_id), "key": key} for pipeline_id, key in keys]
    cursor = await connection.execute(
        "SELECT run.id::text AS id, run.status::text AS status, run.request_sha256, "
        "run.pipeline_id, run.pipeline_slug, run.idempotency_key "
        "FROM json_to_recordset(%s::json) AS wanted (pipeline_id uuid, key text) "
        "JOIN runs.pipeline_runs AS run "
        "ON run.pipeline_id = wanted.pipeline_id AND run.idempotency_key = wanted.key",
        (as_json(wanted),),
    )
    return await cursor.fetchall()


async def find_by_slug(connection: Connection, keys: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """The same by what their pipelines were called; the last of each key last."""
    wanted = [{"slug": slug, "key": key} for slug, key in keys]
    cursor = await connection.execute(
        "SELECT run.id::text AS id, run.status::text AS status, run.request_sha256, "
        "run.pipeline_id, run.pipeline_slug, run.idempotency_key "
        "FROM json_to_recordset(%s::json) AS wanted (slug text, key text) "
        "JOIN runs.pipeline_runs AS run "
        "ON run.pipeline_slug = wanted.slug AND run.idempotency_key = wanted.key ORDER BY run.created_at",
        (as_json(wanted),),
    )
    return await cursor.fetchall()
