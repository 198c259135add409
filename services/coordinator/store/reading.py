"""SQL of reading and cancelling runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.contracts.runs import RunList
from shared.contracts.states import RunStatus
from shared.postgres import Connection

RUN_COLUMNS = (
    "id, pipeline_id, pipeline_slug, version_id, status::text AS status, input, unfinished, event_seq, error, "
    "created_at, started_at, finished_at"
)


async def load_run(connection: Connection, run_id: UUID) -> dict[str, Any] | None:
    cursor = await connection.execute(
        f"SELECT {RUN_COLUMNS} FROM runs.pipeline_runs WHERE id = %s",  # noqa: S608  # constant columns
        (run_id,),
        prepare=True,
    )
    return await cursor.fetchone()


async def load_runs(connection: Connection, wanted: RunList) -> list[dict[str, Any]]:
    """One page, newest first; one more than asked tells that there is another page."""
    cursor = await connection.execute(
        f"SELECT {RUN_COLUMNS} FROM runs.pipeline_runs "  # noqa: S608  # constant columns
        "WHERE (%(pipeline_id)s::uuid IS NULL OR pipeline_id = %(pipeline_id)s) "
        "AND (%(status)s::runs.run_status IS NULL OR status = %(status)s) "
        "AND (%(after)s::uuid IS NULL OR id < %(after)s) ORDER BY id DESC LIMIT %(limit)s",
        {
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


async def load_attempts(connection: Connection, run_id: UUID) -> list[dict[str, Any]]:
    cursor = await connection.execute(
        "SELECT node_key, attempt, outcome::text AS outcome, worker, error, metadata, started_at, finished_at "
        "FROM runs.attempts WHERE run_id = %s ORDER BY node_key, attempt",
        (run_id,),
    )
    return await cursor.fetchall()


async def lock_run(connection: Connection, run_id: UUID) -> RunStatus | None:
    cursor = await connection.execute(
        "SELECT status::text AS status FROM runs.pipeline_runs WHERE id = %s FOR NO KEY UPDATE", (run_id,)
    )
    row = await cursor.fetchone()
    return RunStatus(row["status"]) if row is not None else None


async def cancel_run(connection: Connection, run_id: UUID) -> int:
    """End the run as cancelled; its nodes are closed by another statement. Returns the new `event_seq`."""
    cursor = await connection.execute(
        "UPDATE runs.pipeline_runs SET status = 'cancelled', lanes = '{}', event_seq = event_seq + 1, "
        "finished_at = clock_timestamp(), changed_at = clock_timestamp() "
        "WHERE id = %s AND status IN ('pending', 'running') RETURNING event_seq",
        (run_id,),
    )
    row = await cursor.fetchone()
    assert row is not None
    seq: int = row["event_seq"]
    return seq
