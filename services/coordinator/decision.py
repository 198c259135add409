"""What was decided for a batch: each touched row once, with its summed change, and what to announce."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from services.coordinator.state import NodeState, Outcome, RunId, RunState
from shared.contracts.states import NodeStatus, RunStatus

NodeRef = tuple[RunId, str]
AttemptRef = tuple[RunId, str, int]
#: A run and a node type.
LaneRef = tuple[RunId, str]


@dataclass(slots=True)
class NodeChange:
    """A node result that leaves the state `left`; its new state stands in `node`."""

    run: RunState
    node: NodeState
    left: NodeStatus
    #: The outcome that settled it, or that made it wait for a retry.
    outcome: Outcome | None = None
    retry_delay_s: float | None = None


@dataclass(slots=True)
class RunEnd:
    """A run that reached a final state."""

    run: RunState
    error: dict[str, Any] | None = None


@dataclass(slots=True)
class Decision:
    """Everything that one transaction writes; nothing else is written."""

    changes: dict[NodeRef, NodeChange] = field(default_factory=dict)
    #: Attempts that ended, each inserted once.
    attempts: list[Outcome] = field(default_factory=list)
    #: Runs with any change, by id.
    runs: dict[RunId, RunState] = field(default_factory=dict)
    ended: dict[RunId, RunEnd] = field(default_factory=dict)
    #: Runs that ended before, perhaps without the workers having been told.
    ended_before: dict[RunId, RunStatus] = field(default_factory=dict)
    #: Announced after the commit: nodes that became running.
    released: list[tuple[RunState, NodeState]] = field(default_factory=list)
    #: Run and node type -> keys of the nodes that begin to wait for room, in the order in which they will get it.
    queued: dict[LaneRef, list[str]] = field(default_factory=dict)
    #: Announced again: they were committed before, perhaps without being announced.
    repeated: list[tuple[RunState, NodeState]] = field(default_factory=list)
    ignored: list[tuple[NodeRef, str]] = field(default_factory=list)

    def touch(self, run: RunState, node: NodeState) -> NodeChange:
        """Note that this node is about to change; called before every change."""
        change = self.changes.get((run.id, node.key))
        if change is None:
            change = self.changes[run.id, node.key] = NodeChange(run, node, node.status)
            self.runs[run.id] = run
        return change

    def end(self, run: RunState, status: RunStatus, error: dict[str, Any] | None = None) -> None:
        run.status = status
        self.runs[run.id] = run
        self.ended[run.id] = RunEnd(run, error)
