"""Deciding what a batch of outcomes changes: pure, and never in need of more than the slice it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from random import Random

from services.coordinator.decision import Decision
from services.coordinator.graph import Graph, is_live
from services.coordinator.release import release
from services.coordinator.state import NodeState, Outcome, RunId, RunState
from shared.contracts.states import AttemptOutcome, NodeStatus, RunStatus
from shared.retry import backoff_s

#: How many nodes of this type may be out at once in one run.
WindowOf = Callable[[str], int]


class Standing(Enum):
    """How an outcome relates to what is known."""

    EXPECTED = auto()
    UNKNOWN = auto()
    RUN_IS_OVER = auto()
    SETTLED = auto()
    STALE = auto()


REASONS = {
    Standing.UNKNOWN: "its run or node is not known",
    Standing.RUN_IS_OVER: "its run is over",
    Standing.SETTLED: "its attempt is settled",
    Standing.STALE: "its attempt is not the current one",
}


def settle(
    runs: Mapping[RunId, RunState], outcomes: Sequence[Outcome], window_of: WindowOf, random: Random
) -> Decision:
    """Apply every outcome that is expected, ignore every other with a reason, and release what became ready."""
    decision = Decision()
    ready: dict[RunId, list[NodeState]] = {}
    for outcome in outcomes:
        run = runs.get(outcome.run_id)
        standing = standing_of(run, outcome)
        if run is None or standing is not Standing.EXPECTED:
            decision.ignored.append(((outcome.run_id, outcome.node_key), REASONS[standing]))
            if run is not None and outcome.is_redelivered:
                _repeat(decision, run, outcome, standing)
            continue
        _settle_one(decision, run, outcome, ready.setdefault(run.id, []), random)
    for run in list(decision.runs.values()):
        if not run.status.is_final:
            release(decision, run, ready.get(run.id, []), window_of)
            if run.unfinished == 0:
                decision.end(run, RunStatus.COMPLETED)
    return decision


def standing_of(run: RunState | None, outcome: Outcome) -> Standing:
    if run is None or outcome.node_key not in run.graph.nodes:
        return Standing.UNKNOWN
    node = run.nodes[outcome.node_key]
    if outcome.node_type not in (None, node.node_type):
        return Standing.UNKNOWN
    if run.status.is_final:
        return Standing.RUN_IS_OVER
    if node.attempt != outcome.attempt:
        return Standing.STALE
    return Standing.EXPECTED if node.status is NodeStatus.RUNNING else Standing.SETTLED


def keys_to_load(graph: Graph, outcomes: Iterable[Outcome]) -> set[str]:
    """The nodes whose state deciding needs: the finished ones, their successors, and all below an edge
    that may carry nothing."""
    keys: set[str] = set()
    dead: set[str] = set()
    for outcome in outcomes:
        node = graph.nodes.get(outcome.node_key)
        if node is None:
            continue
        keys.add(node.key)
        if outcome.outcome is AttemptOutcome.COMPLETED:
            status = NodeStatus.COMPLETED
        elif _may_retry(graph, outcome) or not graph.handles_failure(node.key):
            continue
        else:
            status = NodeStatus.FAILED
        has_error_edge = graph.has_error_edge(node.key)
        for edge in graph.outgoing[node.key]:
            keys.add(edge.target)
            if not is_live(edge, status, outcome.branch, has_error_edge):
                dead.add(edge.target)
    return keys | graph.below(dead) if dead else keys


def _may_retry(graph: Graph, outcome: Outcome) -> bool:
    return outcome.retryable and outcome.attempt < graph.nodes[outcome.node_key].retry.max_attempts


def _settle_one(decision: Decision, run: RunState, outcome: Outcome, ready: list[NodeState], random: Random) -> None:
    node = run.nodes[outcome.node_key]
    change = decision.touch(run, node)
    change.outcome = outcome
    decision.attempts.append(outcome)
    run.lanes[node.node_type].running -= 1
    if outcome.outcome is AttemptOutcome.COMPLETED:
        _finish(decision, run, node, NodeStatus.COMPLETED, outcome.branch, ready)
    elif _may_retry(run.graph, outcome):
        node.status = NodeStatus.PENDING
        node.is_waiting_for_retry = True
        wait_s = backoff_s(run.graph.nodes[node.key].retry, outcome.attempt, random)
        change.retry_delay_s = max(wait_s, outcome.retry_after_s or 0.0)
    else:
        _finish(decision, run, node, NodeStatus.FAILED, None, ready)
        if not run.graph.handles_failure(node.key):
            error = {**(outcome.error or {}), "node_key": node.key}
            decision.end(run, RunStatus.FAILED, error)


def _finish(
    decision: Decision,
    run: RunState,
    node: NodeState,
    status: NodeStatus,
    branch: str | None,
    ready: list[NodeState],
) -> None:
    """Put the node into a final state and resolve the edges below it, skips and their own edges included."""
    waiting: list[tuple[NodeState, NodeStatus, str | None]] = [(node, status, branch)]
    while waiting:
        ended, ended_as, chosen = waiting.pop()
        ended.status = ended_as
        run.unfinished -= 1
        if ended_as is NodeStatus.FAILED and not run.graph.handles_failure(ended.key):
            return
        has_error_edge = run.graph.has_error_edge(ended.key)
        for edge in run.graph.outgoing[ended.key]:
            target = run.nodes[edge.target]
            decision.touch(run, target)
            target.waiting_for -= 1
            if is_live(edge, ended_as, chosen, has_error_edge):
                target.live += 1
            if target.waiting_for == 0:
                if target.live > 0:
                    ready.append(target)
                else:
                    waiting.append((target, NodeStatus.SKIPPED, None))


def _repeat(decision: Decision, run: RunState, outcome: Outcome, standing: Standing) -> None:
    """What it led to may have been committed by a coordinator that died, or was cut off, before it told of it."""
    if standing is Standing.RUN_IS_OVER and run.status is not RunStatus.COMPLETED:
        decision.ended_before[run.id] = run.status
    if standing is not Standing.SETTLED:
        return
    for edge in run.graph.outgoing[outcome.node_key]:
        target = run.nodes.get(edge.target)
        if target is not None and target.status is NodeStatus.RUNNING:
            decision.repeated.append((run, target))
