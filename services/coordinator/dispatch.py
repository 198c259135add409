"""Publishes what was committed: ready nodes and events; nothing else leaves the coordinator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

import nats.errors
import orjson
from nats.aio.client import Client

from services.coordinator.decision import Decision, NodeRef
from services.coordinator.inputs import Ended, build_inputs, needed_nodes
from services.coordinator.state import NodeState, RunId, RunState
from services.coordinator.tokens import Tokens
from services.coordinator.versions import RunFacts
from shared.bus.publish import MESSAGE_ID, TIMEOUT_S, Outgoing, Publisher, Sending
from shared.bus.transfers import MESSAGE_LIMIT, Transfers
from shared.bus.wire import NOT_WRITTEN, command, write
from shared.contracts import subjects
from shared.contracts.problems import NodeProblem
from shared.contracts.runs import RunEvent
from shared.contracts.states import NodeStatus, RunStatus
from shared.errors import words_of
from shared.logging import get_logger

log = get_logger(__name__)

EVENT_KINDS: dict[RunStatus, subjects.RunEventKind] = {
    RunStatus.RUNNING: "progressed",
    RunStatus.COMPLETED: "completed",
    RunStatus.FAILED: "failed",
    RunStatus.CANCELLED: "cancelled",
}

#: Messages that are made before they are published: workers begin these while the next are made.
PART = 64
#: Bytes of messages that are on their way; a large output may stand in each of hundreds.
MOST_BYTES = 16 * 1024 * 1024
#: The most changes that one event names; more are read from the run.
CHANGES_IN_EVENT = 1000


class Dispatch(NamedTuple):
    """A node to announce."""

    run_id: RunId
    node: NodeState


class Sent:
    """Nodes whose messages are on their way."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._parts: list[Sending] = []
        self._is_complete = True

    def send(self, part: Sequence[Outgoing]) -> None:
        self._parts.append(self._publisher.send(part))

    async def is_stored(self) -> bool:
        """Waits for the acknowledgements, of all parts together no longer than of one. True when the stream has all."""
        clock = asyncio.get_running_loop().time
        until = clock() + TIMEOUT_S
        parts, self._parts = self._parts, []
        for part in parts:
            self._is_complete &= not await self._publisher.finish(part, until - clock())
        return self._is_complete


class Dispatcher:
    """Builds and publishes NodeReady messages and run events."""

    def __init__(self, client: Client, publisher: Publisher, transfers: Transfers, tokens: Tokens) -> None:
        self._client = client
        self._publisher = publisher
        self._transfers = transfers
        self._tokens = tokens

    async def send(
        self, dispatches: Iterable[Dispatch], facts: Mapping[RunId, RunFacts], ends: Mapping[NodeRef, Ended]
    ) -> Sent:
        """Announce these nodes, part by part; returns when they are on their way. What is not stored, and what cannot
        be made, the reconciler finds."""
        sent = Sent(self._publisher)
        part: list[Outgoing] = []
        size = 0
        for dispatch in dispatches:
            try:
                message = await self._message(dispatch, facts[dispatch.run_id], ends)
            except (nats.errors.Error, TimeoutError, TypeError) as error:
                # The others are none the worse.
                log.error(
                    "a node could not be sent",
                    run_id=dispatch.run_id,
                    node_key=dispatch.node.key,
                    error=words_of(error),
                )
                continue
            part.append(message)
            size += len(message.body)
            if len(part) == PART or size > MOST_BYTES:
                sent.send(part)
                part = []
            if size > MOST_BYTES:
                await sent.is_stored()
                size = 0
        sent.send(part)
        return sent

    @staticmethod
    def unknown(
        dispatches: Iterable[Dispatch], facts: Mapping[RunId, RunFacts], known: Mapping[NodeRef, Ended]
    ) -> set[NodeRef]:
        """The nodes whose outputs these nodes need and that must be read; all in one statement."""
        return {
            (dispatch.run_id, key)
            for dispatch in dispatches
            for key in needed_nodes(facts[dispatch.run_id].graph, dispatch.node.key)
            if (dispatch.run_id, key) not in known
        }

    async def _message(self, dispatch: Dispatch, facts: RunFacts, ends: Mapping[NodeRef, Ended]) -> Outgoing:
        """A NodeReady, written as plain JSON since a model would double the cost of a node."""
        run_id, node = dispatch.run_id, dispatch.node
        compiled = facts.graph.nodes[node.key]
        inputs = build_inputs(facts.graph, node.key, facts.input, lambda key: ends.get((run_id, key)))
        message: dict[str, Any] = {
            "run_id": run_id,
            "node_key": node.key,
            "node_type": node.node_type,
            "attempt": node.attempt,
            "dispatch": node.dispatch,
            "token": self._tokens.make(run_id, node.key, node.attempt),
            "config": compiled.config,
            "inputs": inputs,
            "run_started_at": facts.started_at,
            "timeout_s": compiled.timeout_s,
        }
        if facts.traceparent:
            message["traceparent"] = facts.traceparent
        body = orjson.dumps(message)
        if len(body) > MESSAGE_LIMIT:
            reference = await self._transfers.put(orjson.dumps(inputs))
            body = orjson.dumps({**message, "inputs": None, "inputs_ref": reference.model_dump()})
        return Outgoing(
            subjects.node_ready(node.node_type), body, f"{run_id}:{node.key}:{node.attempt}:{node.dispatch}"
        )

    def announce_started(self, runs: Iterable[RunState]) -> None:
        self._tell(
            [
                _event("started", run, [_change(node) for node in islice(run.nodes.values(), CHANGES_IN_EVENT)])
                for run in runs
            ]
        )

    def announce_refused(self, run_id: RunId, pipeline_id: UUID | None, error: NodeProblem) -> None:
        """A request of the stream that could not start is a run that has failed."""
        event = RunEvent(run_id=UUID(run_id), pipeline_id=pipeline_id, seq=1, status=RunStatus.FAILED, error=error)
        self._tell([_written("failed", run_id, 1, event.model_dump_json().encode())])

    def announce_changes(self, decision: Decision, shown: Mapping[RunId, orjson.Fragment]) -> None:
        """One event a run: best effort, because readers read the run again when one is missing. Those of `shown`
        bring their run along."""
        changes: dict[RunId, list[dict[str, Any]]] = {run_id: [] for run_id in decision.runs}
        for (run_id, _), change in decision.changes.items():
            if change.node.status is not change.left and len(changes[run_id]) < CHANGES_IN_EVENT:
                changes[run_id].append(_change(change.node, _error_of(change)))
        events = []
        for run_id, run in decision.runs.items():
            end = decision.ended.get(run_id)
            error = end.error if end else None
            events.append(_event(EVENT_KINDS[run.status], run, changes[run_id], error, shown.get(run_id)))
        self._tell(events)

    def _tell(self, events: list[bytes]) -> None:
        """Of one that is not sent, readers find the gap and read the run."""
        most = self._client.max_payload
        fitting = [event for event in events if len(event) <= most]
        if len(fitting) < len(events):
            log.warning("events are larger than NATS takes", count=len(events) - len(fitting))
        try:
            write(self._client, fitting)
        except NOT_WRITTEN as error:
            log.warning("events were not sent", count=len(fitting), error=words_of(error))


def _event(
    kind: subjects.RunEventKind,
    run: RunState,
    changes: list[dict[str, Any]],
    error: dict[str, Any] | None = None,
    shown: orjson.Fragment | None = None,
) -> bytes:
    count = len(run.graph.nodes)
    event: dict[str, Any] = {
        "run_id": run.id,
        "pipeline_id": run.graph.pipeline_id,
        "seq": run.seq,
        "status": run.status,
        "changes": changes,
        "node_count": count,
        "finished_count": count - run.unfinished,
        "error": error,
    }
    if shown is not None:
        event["run"] = shown
    return _written(kind, run.id, run.seq, orjson.dumps(event))


def _written(kind: subjects.RunEventKind, run_id: RunId, seq: int, body: bytes) -> bytes:
    """With the attributes of a CloudEvent (binary mode of the NATS protocol binding)."""
    name = f"{run_id}:{seq}"
    headers = {
        MESSAGE_ID: name,
        "ce-specversion": "1.0",
        "ce-id": name,
        "ce-source": "/pipewright/coordinator",
        "ce-type": subjects.run_event(kind),
        "ce-subject": run_id,
        "content-type": "application/json",
    }
    return command(subjects.run_event(kind), body, headers=headers)


def _error_of(change: Any) -> dict[str, Any] | None:
    if change.node.status is NodeStatus.FAILED and change.outcome is not None:
        error: dict[str, Any] | None = change.outcome.error
        return error
    return None


def _change(node: NodeState, error: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"node_key": node.key, "status": node.status, "attempt": node.attempt, "error": error}
