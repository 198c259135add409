"""SQL of settling: lock the runs, load the slice, write the decision; each one statement a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncCursor

from services.coordinator.decision import Decision, NodeChange, NodeRef
from services.coordinator.graph import Graph
from services.coordinator.state import Lane, NodeState, Outcome, RunState
from services.coordinator.store.queries import query
from shared.contracts.states import NodeStatus, RunStatus
from shared.postgres import Connection, as_json

LOCK_RUNS = """
    SELECT id, version_id, status::text AS status, unfinished, event_seq, lanes
      FROM runs.pipeline_runs
     WHERE id = ANY(%s)
     ORDER BY id
       FOR NO KEY UPDATE
"""


async def load_slice(
    connection: Connection,
    graphs: Mapping[UUID, Graph],
    keys: Mapping[UUID, Iterable[str]],
    freed: Mapping[tuple[UUID, str], int],
) -> dict[UUID, RunState]:
    """Lock these runs in the order of their ids, then read the nodes wanted and those that wait for room.

    The nodes are read by statements of their own, so that their snapshots begin after the locks. `freed` is,
    for a run and node type, how many places may become free.
    """
    wanted = [{"run_id": str(run_id), "node_key": key} for run_id, names in keys.items() for key in names]
    lanes = [{"run_id": str(run), "node_type": kind, "most": most} for (run, kind), most in freed.items()]
    locked = await connection.execute(LOCK_RUNS, (sorted(graphs),), prepare=True)
    nodes = await connection.execute(query("load_nodes"), (as_json(wanted),), prepare=True)
    queued = await connection.execute(query("load_queued"), (as_json(lanes),), prepare=True)
    runs = {row["id"]: _run_state(row, graphs[row["id"]]) for row in await locked.fetchall()}
    for row in await nodes.fetchall():
        _add_node(runs, row)
    for row in await queued.fetchall():
        node = _add_node(runs, row)
        runs[row["run_id"]].queued.setdefault(node.node_type, []).append(node.key)
    return runs


def _run_state(row: Mapping[str, Any], graph: Graph) -> RunState:
    return RunState(
        id=row["id"],
        graph=graph,
        status=RunStatus(row["status"]),
        unfinished=row["unfinished"],
        seq=row["event_seq"],
        lanes={kind: Lane(*counts) for kind, counts in row["lanes"].items()},
    )


def _add_node(runs: Mapping[UUID, RunState], row: Mapping[str, Any]) -> NodeState:
    nodes = runs[row["run_id"]].nodes
    if row["node_key"] not in nodes:
        nodes[row["node_key"]] = node_state(row)
    return nodes[row["node_key"]]


def node_state(row: Mapping[str, Any]) -> NodeState:
    return NodeState(
        key=row["node_key"],
        node_type=row["node_type"],
        status=_NODE_STATUSES[row["status"]],
        attempt=row["attempt"],
        dispatch=row["dispatch"],
        waiting_for=row["waiting_for"],
        live=row["live"],
        is_waiting_for_room=row["is_waiting_for_room"],
        is_waiting_for_retry=row["is_waiting_for_retry"],
    )


_NODE_STATUSES = {str(status): status for status in NodeStatus}


async def save(connection: Connection, decision: Decision) -> None:
    """Write the decision; every change names the state that it leaves.

    Nothing is fetched, so that the statements and the commit travel together; a row in another state ends the
    transaction as a serialization failure.
    """
    for run in decision.runs.values():
        run.seq += 1
    payloads = [
        {"run_id": str(outcome.run_id), "node_key": outcome.node_key, "body": outcome.payload}
        for outcome in decision.attempts
        if outcome.payload is not None
    ]
    if payloads:
        await connection.execute(
            "INSERT INTO runs.payloads (run_id, node_key, body) "
            "SELECT run_id, node_key, body::json "
            "FROM json_to_recordset(%s::json) AS new (run_id uuid, node_key text, body text)",
            (as_json(payloads),),
        )
    await connection.execute(query("save_decision"), _parameters(decision), prepare=True)
    if decision.ended:
        ended = [run_id for run_id, end in decision.ended.items() if end.run.unfinished]
        if ended:
            await close_nodes(connection, ended)


async def close_nodes(connection: Connection, run_ids: Sequence[UUID]) -> None:
    """Their runs have ended: what is running is cancelled, what is pending is skipped."""
    await connection.execute(query("record_cancelled_attempts"), (list(run_ids),))
    await connection.execute(query("close_nodes"), (list(run_ids),))


def _parameters(decision: Decision) -> dict[str, str | int]:
    return {
        "nodes": as_json([_node_row(change) for change in decision.changes.values()]),
        "attempts": as_json([_attempt_row(outcome) for outcome in decision.attempts]),
        "runs": as_json([_run_row(decision, run) for run in decision.runs.values()]),
        "node_count": len(decision.changes),
        "run_count": len(decision.runs),
    }


def _node_row(change: NodeChange) -> dict[str, Any]:
    node, outcome = change.node, change.outcome
    row: dict[str, Any] = {
        "run_id": change.run.id,
        "node_key": node.key,
        "leaves": change.left,
        "status": node.status,
        "attempt": node.attempt,
        "dispatch": node.dispatch,
        "waiting_for": node.waiting_for,
        "live": node.live,
        "is_waiting_for_room": node.is_waiting_for_room,
        "retry_delay_s": change.retry_delay_s,
    }
    if outcome is not None:
        row["started_at"] = outcome.started_at
        row["metadata"] = outcome.metadata
        if node.status is NodeStatus.COMPLETED and outcome.payload is None:
            row["output"] = outcome.output
        if node.status is NodeStatus.FAILED:
            row["error"] = outcome.error
    if node.status.is_final:
        row["finished_at"] = outcome.finished_at if outcome is not None else None
    return row


def _attempt_row(outcome: Outcome) -> dict[str, Any]:
    return {
        "run_id": outcome.run_id,
        "node_key": outcome.node_key,
        "attempt": outcome.attempt,
        "outcome": outcome.outcome,
        "worker": outcome.worker,
        "error": outcome.error,
        "metadata": outcome.metadata or None,
        "started_at": outcome.started_at,
        "finished_at": outcome.finished_at,
    }


def _run_row(decision: Decision, run: RunState) -> dict[str, Any]:
    end = decision.ended.get(run.id)
    return {
        "id": run.id,
        "status": run.status,
        "unfinished": run.unfinished,
        "lanes": {} if end is not None else lanes_json(run.lanes),
        "event_seq": run.seq,
        "error": end.error if end is not None else None,
    }


def lanes_json(lanes: Mapping[str, Lane]) -> dict[str, list[int]]:
    return {kind: [lane.running, lane.waiting] for kind, lane in lanes.items() if lane.running or lane.waiting}


async def ask_outputs(connection: Connection, wanted: Iterable[NodeRef]) -> AsyncCursor[dict[str, Any]]:
    """How these nodes ended, and what they gave; to be fetched when the pipeline has ended."""
    rows = [{"run_id": str(run_id), "node_key": key} for run_id, key in wanted]
    return await connection.execute(query("load_outputs"), (as_json(rows),), prepare=True)
