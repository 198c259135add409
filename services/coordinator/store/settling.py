"""SQL of settling: lock the runs, load the slice, write the decision; each one statement a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from services.coordinator.decision import Decision, LaneRef, NodeChange, NodeRef
from services.coordinator.graph import Graph
from services.coordinator.state import Lane, NodeState, RunId, RunState
from services.coordinator.store.queues import queue_parts
from services.coordinator.store.together import Call, Rows, execute, execute_together, id_array
from shared.contracts.states import NodeStatus, RunStatus
from shared.postgres import Connection, as_json

#: Outputs that are read together with a decision; what is beyond is read by itself.
OUTPUTS_AT_ONCE = 32 * 1024 * 1024

_RUN_STATUSES = {str(status): status for status in RunStatus}
_NODE_STATUSES = {str(status): status for status in NodeStatus}


class Saved(NamedTuple):
    """What was read with a decision that was written."""

    outputs: Rows
    awaited: Rows
    #: A webhook is to be told of a run that ended.
    has_deliveries: bool


async def load_slice(
    connection: Connection,
    graphs: Mapping[RunId, Graph],
    keys: Mapping[RunId, Iterable[str]],
    freed: Mapping[LaneRef, int],
    *,
    begins: str = "",
) -> dict[RunId, RunState]:
    """Lock these runs in the order of their ids, then read the nodes wanted and those that wait for room.

    The nodes are read by statements of their own, so that their snapshots begin after the locks. `freed` is,
    for a run and node type, how many places may become free. `begins` is what opens the transaction first.
    """
    wanted = [{"run_id": run_id, "node_key": key} for run_id, names in keys.items() for key in names]
    lanes = [{"run_id": run, "node_type": kind, "most": most} for (run, kind), most in freed.items()]
    calls = [
        Call("lock_runs", (_in_order(graphs),)),
        Call("load_nodes", (as_json(wanted),)),
        Call("load_queued", (as_json(lanes),)),
    ]
    # One JSON value a statement: to read it costs a fraction of what rows cost in psycopg.
    locked, nodes, queued = (rows[0]["found"] for rows in await execute_together(connection, calls, begins=begins))
    runs = {row[0]: _run_state(row, graphs[row[0]]) for row in locked}
    # Who waits for room is told by the queues alone.
    for row in (*nodes, *queued):
        runs[row[0]].nodes[row[1]] = node_state(row)
    for run_id, key, node_type, *_ in queued:
        runs[run_id].queued.setdefault(node_type, []).append(key)
    return runs


def _run_state(row: list[Any], graph: Graph) -> RunState:
    run_id, status, unfinished, seq, lanes = row
    out = {kind: Lane(*counts) for kind, counts in lanes.items()}
    return RunState(run_id, graph, _RUN_STATUSES[status], unfinished, seq, out)


def node_state(row: list[Any]) -> NodeState:
    """From `[run_id, node_key, node_type, status, ...]`, then the fields of NodeState in their order."""
    _, key, node_type, status, *counters = row
    return NodeState(key, node_type, _NODE_STATUSES[status], *counters)


async def save(
    connection: Connection,
    decision: Decision,
    wanted: Iterable[NodeRef],
    awaited: Sequence[RunId] = (),
    *,
    begins: str = "",
    commits: bool = False,
) -> Saved:
    """Write the decision, and read how the nodes wanted ended and what they gave, as far as that is not too large at
    once; then the runs that are awaited, as they are now.

    Every change names the state that it leaves: a row in another one ends the transaction as a serialization failure.
    `begins` is what opens the transaction, `commits` ends it.
    """
    for run in decision.runs.values():
        run.seq += 1
    calls = _changes(decision) if decision.runs else []
    if decision.repeated:
        calls.append(Call("renew_dispatches", (as_json([_dispatch_row(*one) for one in decision.repeated]),)))
    references = list(wanted)
    if references:
        calls.append(_loading(references, OUTPUTS_AT_ONCE))
    if awaited:
        calls.append(Call("read_runs", (id_array(awaited),)))
    if decision.ended:
        # They are made by the statement that ends the runs.
        calls.append(Call("find_deliveries", (id_array(list(decision.ended)),)))
    if not calls and not commits:
        return Saved([], [], False)
    found = await execute_together(connection, calls, begins=begins, commits=commits)
    has_deliveries = found.pop()[0]["found"] if decision.ended else False
    runs = found.pop() if awaited else []
    return Saved(found[-1] if references else [], runs, has_deliveries)


async def load_outputs(connection: Connection, wanted: Iterable[NodeRef], most_bytes: int) -> Rows:
    """How these nodes ended and what they gave; of the outputs those that are no more than so many bytes together."""
    call = _loading(wanted, most_bytes)
    return await execute(connection, call.name, *call.parameters)


def _in_order(run_ids: Iterable[RunId]) -> str:
    return id_array(sorted(run_ids))


def _loading(wanted: Iterable[NodeRef], most_bytes: int) -> Call:
    references = [{"run_id": run_id, "node_key": key} for run_id, key in wanted]
    return Call("load_outputs", (as_json(references), most_bytes))


def _changes(decision: Decision) -> list[Call]:
    rows = [_node_row(change) for change in decision.changes.values() if not _is_only_queued(change.node)]
    # In the order in which everybody locks them; those that were not read are locked by being written, before all else.
    runs = [_run_row(decision, decision.runs[run_id]) for run_id in sorted(decision.runs)]
    calls = [Call("save_decision", (as_json(rows), as_json(runs), len(rows), len(runs)))]
    # An attempt that the next one follows has a row of its own.
    if tried := [row for row in rows if row["status"] is NodeStatus.PENDING and "outcome" in row]:
        calls.append(Call("save_attempts", (as_json(tried),)))
    payloads = [
        {"run_id": outcome.run_id, "node_key": outcome.node_key, "body": outcome.payload}
        for outcome in decision.attempts
        if outcome.payload is not None
    ]
    if payloads:
        calls.append(Call("save_payloads", (as_json(payloads),)))
    if decision.queued:
        calls.append(Call("queue_nodes", (as_json(queue_parts(decision.queued)),)))
    ended = [run_id for run_id, end in decision.ended.items() if end.run.unfinished]
    return [*calls, closing(ended)] if ended else calls


def closing(run_ids: Sequence[RunId]) -> Call:
    """Their runs have ended: what is running is cancelled, what is pending is skipped."""
    return Call("close_nodes", (id_array(run_ids),))


def _is_only_queued(node: NodeState) -> bool:
    """Its row is written when it leaves its queue; one that waited for a retry waits for that no more."""
    return node.is_waiting_for_room and node.attempt == 0


def _node_row(change: NodeChange) -> dict[str, Any]:
    """What changes, and no more: Postgres keeps what is left out."""
    node, outcome = change.node, change.outcome
    row: dict[str, Any] = {
        "run_id": change.run.id,
        "node_key": node.key,
        "leaves": change.left,
        "status": node.status,
        "attempt": node.attempt,
    }
    if node.is_waiting_for_room:
        row["is_waiting_for_room"] = True
    if outcome is None:
        return row | {"dispatch": node.dispatch, "waiting_for": node.waiting_for, "live": node.live}
    if change.retry_delay_s is not None:
        row["retry_delay_s"] = change.retry_delay_s
    row["outcome"] = outcome.outcome
    row["worker"] = outcome.worker
    row["started_at"] = outcome.started_at
    row["finished_at"] = outcome.finished_at
    if node.status is NodeStatus.COMPLETED and outcome.payload is None:
        row["output"] = outcome.output
    if outcome.error is not None:
        row["error"] = outcome.error
    if outcome.metadata:
        row["metadata"] = outcome.metadata
    return row


def _dispatch_row(run: RunState, node: NodeState) -> dict[str, Any]:
    return {"run_id": run.id, "node_key": node.key, "dispatch": node.dispatch}


def _run_row(decision: Decision, run: RunState) -> dict[str, Any]:
    end = decision.ended.get(run.id)
    return {
        "id": run.id,
        # A run that has ended is never settled, and nothing else is locked here.
        "leaves": RunStatus.RUNNING,
        "status": run.status,
        "unfinished": run.unfinished,
        "lanes": {} if end is not None else lanes_json(run.lanes),
        "event_seq": run.seq,
        "error": end.error if end is not None else None,
    }


def lanes_json(lanes: Mapping[str, Lane]) -> dict[str, list[int]]:
    return {kind: [lane.running, lane.waiting] for kind, lane in lanes.items() if lane.running or lane.waiting}
