"""SQL of reading runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.coordinator.store.together import BEGIN_READING, Call, execute, execute_together
from shared.contracts.runs import NodeResultsList, RunList
from shared.contracts.states import RunStatus
from shared.postgres import Connection, direction_of, where

RUN_COLUMNS = (
    "id, pipeline_id, pipeline_slug, version_id, status::text AS status, input, unfinished, event_seq, error, "
    "created_at, started_at, finished_at, retry_of, "
    "(SELECT number FROM runs.versions WHERE versions.id = version_id) AS version, "
    # Nodes are numbered from 0; counting them would read as many rows.
    "(SELECT max(node_index) + 1 FROM runs.version_nodes WHERE version_nodes.version_id = pipeline_runs.version_id) "
    "AS node_count"
)

#: Constants, and what they imply: by these Postgres sees that an index which holds few of all runs holds all of these.
STATUS_IS = {
    status: f"status = '{status}'" + ("" if status.is_final else " AND finished_at IS NULL") for status in RunStatus
}


async def load_run(connection: Connection, run_id: UUID) -> dict[str, Any] | None:
    rows = await execute(connection, "read_runs", [run_id])
    return rows[0] if rows else None


async def load_ended_run(
    connection: Connection, run_id: UUID, leaves: Sequence[str]
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """A run that never changes any more, and its leaves, in one round trip."""
    calls = [Call("read_runs", ([run_id],)), Call("read_nodes", (run_id, list(leaves)))]
    runs, nodes = await execute_together(connection, calls)
    return (runs[0] if runs else None), nodes


async def load_whole_run(
    connection: Connection, run_id: UUID
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]] | None:
    """A run, its nodes and their attempts as they were at one moment."""
    calls = [Call("read_runs", ([run_id],)), Call("read_nodes", (run_id, None)), Call("read_attempts", (run_id, None))]
    runs, nodes, attempts = await execute_together(connection, calls, begins=BEGIN_READING, commits=True)
    return (runs[0], nodes, attempts) if runs else None


async def load_runs(connection: Connection, wanted: RunList) -> list[dict[str, Any]]:
    """One page; one more than asked tells that there is another page."""
    # Ids are UUIDv7: their order is that of the times at which they were chosen.
    follows, order = direction_of(wanted.sort)
    conditions = {
        "pipeline_id": "pipeline_id = %(pipeline_id)s",
        "status": STATUS_IS[wanted.status] if wanted.status is not None else "",
        "created_after": "created_at >= %(created_after)s",
        "created_before": "created_at <= %(created_before)s",
        "after": f"id {follows} %(after)s",
    }
    cursor = await connection.execute(
        f"SELECT {RUN_COLUMNS} FROM runs.pipeline_runs "  # noqa: S608  # constant columns and conditions
        f"{where(conditions, wanted)} ORDER BY id {order} LIMIT %(limit)s",
        wanted.model_dump() | {"limit": wanted.limit + 1},
    )
    return await cursor.fetchall()


async def load_nodes(connection: Connection, run_id: UUID, keys: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """All nodes of a run, or some, in the order of the document."""
    return await execute(connection, "read_nodes", run_id, list(keys) if keys is not None else None)


async def load_attempts(connection: Connection, run_id: UUID, keys: Sequence[str]) -> list[dict[str, Any]]:
    return await execute(connection, "read_attempts", run_id, list(keys))


async def load_page_keys(connection: Connection, wanted: NodeResultsList) -> list[str]:
    """The keys of one page in the order of the document; one more tells that there is another page."""
    cursor = await connection.execute(
        "SELECT node_key FROM runs.node_results WHERE run_id = %(run_id)s "
        "AND (%(status)s::runs.node_status IS NULL OR status = %(status)s) "
        "AND (%(after)s::text IS NULL OR node_index > (SELECT node_index FROM runs.node_results "
        "WHERE run_id = %(run_id)s AND node_key = %(after)s)) ORDER BY node_index LIMIT %(limit)s",
        {"run_id": wanted.run_id, "status": wanted.status, "after": wanted.after, "limit": wanted.limit + 1},
    )
    return [row["node_key"] for row in await cursor.fetchall()]
