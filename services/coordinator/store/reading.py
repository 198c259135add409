"""SQL of reading runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.contracts.runs import NodeResultsList, RunList
from shared.postgres import Connection, direction_of

RUN_COLUMNS = (
    "id, pipeline_id, pipeline_slug, version_id, status::text AS status, input, unfinished, event_seq, error, "
    "created_at, started_at, finished_at, retry_of"
)


async def load_run(connection: Connection, run_id: UUID) -> dict[str, Any] | None:
    cursor = await connection.execute(
        f"SELECT {RUN_COLUMNS} FROM runs.pipeline_runs WHERE id = %s",  # noqa: S608  # constant columns
        (run_id,),
        prepare=True,
    )
    return await cursor.fetchone()


async def load_runs(connection: Connection, wanted: RunList) -> list[dict[str, Any]]:
    """One page; one more than asked tells that there is another page."""
    # Ids are UUIDv7: their order is that of the times at which they were chosen.
    follows, order = direction_of(wanted.sort)
    cursor = await connection.execute(
        f"SELECT {RUN_COLUMNS} FROM runs.pipeline_runs "  # noqa: S608  # constant columns
        "WHERE (%(pipeline_id)s::uuid IS NULL OR pipeline_id = %(pipeline_id)s) "
        "AND (%(status)s::runs.run_status IS NULL OR status = %(status)s) "
        "AND (%(created_after)s::timestamptz IS NULL OR created_at >= %(created_after)s) "
        "AND (%(created_before)s::timestamptz IS NULL OR created_at <= %(created_before)s) "
        f"AND (%(after)s::uuid IS NULL OR id {follows} %(after)s) ORDER BY id {order} LIMIT %(limit)s",
        {
            "created_after": wanted.created_after,
            "created_before": wanted.created_before,
            "pipeline_id": wanted.pipeline_id,
            "status": wanted.status,
            "after": wanted.after,
            "limit": wanted.limit + 1,
        },
    )
    return await cursor.fetchall()


NODE_COLUMNS = (
    "node.node_key, node.node_type, node.status::text AS status, node.attempt, node.error, node.metadata, "
    "node.started_at, node.finished_at, coalesce(node.output, payload.body) AS output"
)


async def load_nodes(connection: Connection, run_id: UUID, keys: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """All nodes of a run, or some, in the order of the document."""
    cursor = await connection.execute(
        f"SELECT {NODE_COLUMNS} FROM runs.node_results AS node "  # noqa: S608  # constant columns
        "LEFT JOIN runs.payloads AS payload ON payload.run_id = node.run_id "
        "AND payload.node_key = node.node_key AND node.output IS NULL AND node.status = 'completed' "
        "WHERE node.run_id = %(run_id)s AND (%(keys)s::text[] IS NULL OR node.node_key = ANY(%(keys)s)) "
        "ORDER BY node.node_index",
        {"run_id": run_id, "keys": list(keys) if keys is not None else None},
        prepare=True,
    )
    return await cursor.fetchall()


async def load_attempts(
    connection: Connection, run_id: UUID, keys: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    cursor = await connection.execute(
        "SELECT node_key, attempt, outcome::text AS outcome, worker, error, metadata, started_at, finished_at "
        "FROM runs.attempts WHERE run_id = %(run_id)s "
        "AND (%(keys)s::text[] IS NULL OR node_key = ANY(%(keys)s)) ORDER BY node_key, attempt",
        {"run_id": run_id, "keys": list(keys) if keys is not None else None},
    )
    return await cursor.fetchall()


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
