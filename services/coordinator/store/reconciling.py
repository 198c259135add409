"""SQL of the reconciler: what Postgres alone tells of work that nobody does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from services.coordinator.decision import AttemptRef, LaneRef, NodeRef
from services.coordinator.state import RunId
from services.coordinator.store.queries import query
from services.coordinator.store.together import execute
from shared.contracts.states import NodeStatus, RunStatus
from shared.postgres import Connection, as_json


async def extend_leases(connection: Connection, beats: list[dict[str, Any]], lease_s: float) -> None:
    """These attempts are being worked on: set when they began, and until when their worker is believed."""
    await execute(connection, "extend_leases", as_json(beats), lease_s)


async def is_anything_unfinished(connection: Connection) -> bool:
    """False when there is no run that has not ended."""
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM runs.pipeline_runs WHERE finished_at IS NULL) AS is_there"
    )
    [row] = await cursor.fetchall()
    return bool(row["is_there"])


async def load_expired(connection: Connection) -> list[dict[str, Any]]:
    """Attempts whose lease is over."""
    cursor = await connection.execute(
        "SELECT run_id::text AS run_id, node_key, node_type, attempt, started_at, dispatched_at FROM runs.node_results "
        "WHERE lease_until < clock_timestamp() AND status = 'running' ORDER BY run_id LIMIT 500"
    )
    return await cursor.fetchall()


async def forget_leases(connection: Connection, nodes: Iterable[NodeRef]) -> None:
    """Their messages wait in the stream again; the worker that takes one will say so."""
    await connection.execute(
        "UPDATE runs.node_results AS node SET lease_until = NULL, started_at = NULL "
        "FROM json_to_recordset(%s::json) AS back (run_id uuid, node_key text, leaves runs.node_status) "
        "WHERE node.run_id = back.run_id AND node.node_key = back.node_key AND node.status = back.leaves "
        "AND node.lease_until < clock_timestamp()",
        (as_json(_references(nodes)),),
    )


async def load_ended_before(connection: Connection, moment: datetime) -> list[tuple[RunId, RunStatus]]:
    """The runs of the last days that ended before this moment while work of theirs was out, newest first."""
    # Between two clocks, a minute too many does no harm.
    cursor = await connection.execute(
        "SELECT run.id::text AS id, run.status::text AS status FROM runs.pipeline_runs AS run "
        "WHERE run.created_at BETWEEN clock_timestamp() - interval '7 days' AND %(moment)s + interval '1 minute' "
        "AND run.finished_at BETWEEN clock_timestamp() - interval '1 day' AND %(moment)s + interval '1 minute' "
        "AND run.status <> 'completed' "
        "AND EXISTS (SELECT FROM runs.node_results AS node WHERE node.run_id = run.id AND node.status = 'cancelled') "
        "ORDER BY run.created_at DESC LIMIT 10000",
        {"moment": moment},
    )
    return [(row["id"], RunStatus(row["status"])) for row in await cursor.fetchall()]


async def load_due(connection: Connection) -> list[NodeRef]:
    """Nodes whose next attempt is due."""
    cursor = await connection.execute(
        "SELECT run_id::text AS run_id, node_key FROM runs.node_results WHERE retry_at <= clock_timestamp() "
        "ORDER BY retry_at LIMIT 1000"
    )
    return [(row["run_id"], row["node_key"]) for row in await cursor.fetchall()]


async def seconds_to_next_retry(connection: Connection) -> float | None:
    cursor = await connection.execute(
        "SELECT extract(epoch FROM min(retry_at) - clock_timestamp())::float8 AS wait_s "
        "FROM runs.node_results WHERE retry_at IS NOT NULL"
    )
    row = await cursor.fetchone()
    wait_s: float | None = row["wait_s"] if row is not None else None
    return wait_s


async def count_unfinished(connection: Connection) -> dict[str, int]:
    """Runs without a final state, by status."""
    cursor = await connection.execute(
        "SELECT status::text AS status, count(*) AS count FROM runs.pipeline_runs "
        "WHERE finished_at IS NULL GROUP BY status"
    )
    return {row["status"]: row["count"] for row in await cursor.fetchall()}


async def load_unwaited(connection: Connection, attempts: Iterable[AttemptRef]) -> dict[AttemptRef, bool]:
    """Those of these attempts whose messages nobody waits for: True when a worker holds it, as it said itself not long
    ago, False when it is over."""
    rows = [{"run_id": run_id, "node_key": key, "attempt": attempt} for run_id, key, attempt in attempts]
    if not rows:
        return {}
    cursor = await connection.execute(
        "SELECT node.run_id::text AS run_id, node.node_key, sent.attempt, "
        "node.attempt = sent.attempt AND node.status = 'running' AS is_held "
        "FROM json_to_recordset(%s::json) AS sent (run_id uuid, node_key text, attempt int) "
        "JOIN runs.node_results AS node ON node.run_id = sent.run_id AND node.node_key = sent.node_key "
        "WHERE node.attempt <> sent.attempt OR node.status <> 'running' OR node.lease_until > clock_timestamp()",
        (as_json(rows),),
        prepare=True,
    )
    return {(row["run_id"], row["node_key"], row["attempt"]): row["is_held"] for row in await cursor.fetchall()}


async def load_lost(connection: Connection, gone: Mapping[str, datetime]) -> list[dict[str, Any]]:
    """Attempts without a lease that were last sent before all that is still in the stream."""
    rows = [{"node_type": kind, "before": before} for kind, before in gone.items()]
    cursor = await connection.execute(query("load_lost"), (as_json(rows),))
    return await cursor.fetchall()


async def load_room(connection: Connection, windows: Mapping[str, int]) -> dict[LaneRef, int]:
    """Lanes with waiting nodes and room: how many may go."""
    rows = [{"node_type": kind, "size": size} for kind, size in windows.items()]
    cursor = await connection.execute(query("load_room"), (as_json(rows),))
    return {(row["run_id"], row["node_type"]): row["most"] for row in await cursor.fetchall()}


async def lock_free_runs(connection: Connection, run_ids: Iterable[RunId]) -> set[RunId]:
    """Lock those of these runs that go on and that nobody else holds."""
    cursor = await connection.execute(query("lock_for_sweep"), (sorted(set(run_ids)),))
    return {row["id"] for row in await cursor.fetchall()}


async def send_again(connection: Connection, lost: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    """Raise the dispatch number of those that are as they were found; returns the nodes as they are now
    (see node_state)."""
    rows = [{**row, "leaves": NodeStatus.RUNNING} for row in lost]
    cursor = await connection.execute(query("send_again"), (as_json(rows),))
    row = await cursor.fetchone()
    assert row is not None
    found: list[list[Any]] = row["found"]
    return found


async def load_silent_runs(connection: Connection, silent_s: float) -> list[RunId]:
    """Runs that go on but have nothing in flight and no retry to come; what waits for room would have found it."""
    cursor = await connection.execute(
        "SELECT run.id::text AS id FROM runs.pipeline_runs AS run "
        "WHERE run.finished_at IS NULL AND run.status = 'running' "
        "AND run.changed_at < clock_timestamp() - make_interval(secs => %s) "
        "AND NOT EXISTS (SELECT FROM runs.node_results AS node WHERE node.run_id = run.id "
        "AND (node.status = 'running' OR node.retry_at IS NOT NULL)) LIMIT 50",
        (silent_s,),
    )
    return [row["id"] for row in await cursor.fetchall()]


async def load_branches(connection: Connection, run_id: RunId) -> dict[str, str | None]:
    """The branches that this run's completed nodes took."""
    cursor = await connection.execute(
        "SELECT node_key, output->>'branch' AS branch FROM runs.node_results "
        "WHERE run_id = %s AND status = 'completed'",
        (run_id,),
    )
    return {row["node_key"]: row["branch"] for row in await cursor.fetchall()}


def _references(nodes: Iterable[NodeRef]) -> list[dict[str, str]]:
    """Running ones; the state they leave goes along, since a constant in the statement misleads the planner."""
    return [{"run_id": run_id, "node_key": key, "leaves": NodeStatus.RUNNING} for run_id, key in nodes]
