"""SQL of what people do to runs: hold, start, end by hand, repeat; with the audit of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.contracts.states import RunStatus
from shared.postgres import Connection, as_json


async def lock_run(connection: Connection, run_id: UUID) -> RunStatus | None:
    cursor = await connection.execute(
        "SELECT status::text AS status FROM runs.pipeline_runs WHERE id = %s FOR NO KEY UPDATE", (run_id,)
    )
    row = await cursor.fetchone()
    return RunStatus(row["status"]) if row is not None else None


async def end_run(connection: Connection, run_id: UUID, status: RunStatus, error: dict[str, Any] | None = None) -> int:
    """End a run that goes on; its nodes are closed by another statement. Returns the new `event_seq`."""
    cursor = await connection.execute(
        "UPDATE runs.pipeline_runs SET status = %s, error = %s::json, lanes = '{}', event_seq = event_seq + 1, "
        "finished_at = clock_timestamp(), changed_at = clock_timestamp() "
        "WHERE id = %s AND status IN ('pending', 'running') RETURNING event_seq",
        (status, as_json(error) if error is not None else None, run_id),
    )
    row = await cursor.fetchone()
    assert row is not None
    seq: int = row["event_seq"]
    return seq


async def start_run(connection: Connection, run_id: UUID) -> None:
    """A held run goes on; its nodes are released by a decision in the same transaction."""
    await connection.execute(
        "UPDATE runs.pipeline_runs SET status = 'running', started_at = clock_timestamp(), "
        "changed_at = clock_timestamp() WHERE id = %s AND status = 'pending'",
        (run_id,),
    )


async def load_for_retry(connection: Connection, run_id: UUID) -> dict[str, Any] | None:
    cursor = await connection.execute(
        "SELECT status::text AS status, pipeline_id, pipeline_slug, version_id, input, traceparent, unfinished "
        "FROM runs.pipeline_runs WHERE id = %s",
        (run_id,),
    )
    return await cursor.fetchone()


async def load_statuses(connection: Connection, run_id: UUID) -> list[dict[str, Any]]:
    """How each node ended, and the branch that it took."""
    cursor = await connection.execute(
        "SELECT node_key, status::text AS status, output->>'branch' AS branch FROM runs.node_results WHERE run_id = %s",
        (run_id,),
    )
    return await cursor.fetchall()


async def mark_retry(connection: Connection, run_id: UUID, retry_of: UUID) -> None:
    await connection.execute("UPDATE runs.pipeline_runs SET retry_of = %s WHERE id = %s", (retry_of, run_id))


async def keep_nodes(connection: Connection, run_id: UUID, retry_of: UUID, keys: Sequence[str]) -> None:
    """These nodes of a new run are what they were in the old one; their attempts stay with it."""
    parameters = {"new": run_id, "old": retry_of, "keys": list(keys)}
    await connection.execute(
        "UPDATE runs.node_results AS node SET status = old.status, attempt = old.attempt, dispatch = old.dispatch, "
        "started_at = old.started_at, finished_at = old.finished_at, output = old.output, metadata = old.metadata "
        "FROM runs.node_results AS old WHERE node.run_id = %(new)s AND old.run_id = %(old)s "
        "AND node.node_key = old.node_key AND node.node_key = ANY(%(keys)s) AND node.status = 'pending'",
        parameters,
    )
    await connection.execute(
        "INSERT INTO runs.payloads (run_id, node_key, body) SELECT %(new)s, node_key, body FROM runs.payloads "
        "WHERE run_id = %(old)s AND node_key = ANY(%(keys)s)",
        parameters,
    )


async def add_audit(
    connection: Connection, run_id: UUID, action: str, actor: str | None, reason: str | None = None
) -> None:
    await connection.execute(
        "INSERT INTO runs.audit (run_id, action, actor, reason) VALUES (%s, %s, %s, %s)",
        (run_id, action, actor, reason),
    )


async def load_audit(connection: Connection, run_id: UUID) -> list[dict[str, Any]]:
    cursor = await connection.execute(
        "SELECT action, actor, reason, at FROM runs.audit WHERE run_id = %s ORDER BY id", (run_id,)
    )
    return await cursor.fetchall()
