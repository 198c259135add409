"""Shows a run while it goes on: a line for each node that ends, or for each event."""

from __future__ import annotations

from uuid import UUID

from rich.markup import escape

from services.cli.output import OUT, print_json, state
from shared.client import PipewrightClient
from shared.contracts.runs import NodeChange, Run, RunEvent
from shared.contracts.states import NodeStatus

#: A node is told of when it is in one of these.
TOLD = (NodeStatus.COMPLETED, NodeStatus.FAILED, NodeStatus.SKIPPED, NodeStatus.CANCELLED)


async def follow(client: PipewrightClient, run_id: UUID) -> Run:
    """Until the run has ended; returns it."""
    told: set[str] = set()
    async for step in client.events(run_id):
        if isinstance(step, RunEvent):
            for change in step.changes:
                _tell(change, step, told)
        else:
            await _tell_snapshot(client, step, told)
    run = await client.get_run(run_id)
    await _tell_snapshot(client, run, told)
    return run


async def follow_as_json(client: PipewrightClient, run_id: UUID) -> Run:
    """As `follow`, for programs: a line for each event, or for the run as it is where events may have been missed."""
    async for step in client.events(run_id):
        print_json(step, is_line=True)
    return await client.get_run(run_id, include_node_results=True)


def _tell(change: NodeChange, event: RunEvent, told: set[str]) -> None:
    if change.status is NodeStatus.PENDING and change.attempt:
        OUT.print(f"  {change.node_key:<24} attempt {change.attempt} failed; trying again")
    if change.status in TOLD and change.node_key not in told:
        told.add(change.node_key)
        progress = f"[bright_black]{event.finished_count}/{event.node_count}[/]"
        OUT.print(f"  {change.node_key:<24} {state(change.status)} {progress}{_tries(change.attempt)}")
        if change.error is not None:
            OUT.print(f"    {escape(change.error.message)}")


async def _tell_snapshot(client: PipewrightClient, run: Run, told: set[str]) -> None:
    """What happened before the first event, or was in one that was lost."""
    if run.status.is_final or run.progress_percent:
        whole = await client.get_run(run.id, include_node_results=True)
        for node in whole.node_results or []:
            if node.status in TOLD and node.node_key not in told:
                told.add(node.node_key)
                duration = node.metadata.get("duration_ms")
                took = f"[bright_black]{duration:.1f} ms[/]" if duration is not None else ""
                OUT.print(f"  {node.node_key:<24} {state(node.status)} {took}{_tries(len(node.attempts))}")
                if node.error is not None:
                    OUT.print(f"    {escape(node.error.message)}")


def _tries(count: int) -> str:
    return f" [yellow]{count} attempts[/]" if count > 1 else ""
