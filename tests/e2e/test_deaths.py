"""Kill -9 in the middle of many runs: every run ends, and every node is settled once."""

from __future__ import annotations

import asyncio
import os
import signal
from uuid import UUID

import pytest

from shared.client import PipewrightClient
from shared.contracts.states import NodeStatus, RunStatus
from tests.e2e.graphs import journey
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.stack import Stack

RUNS = 200


async def start_all(client: PipewrightClient, slug: str) -> list[UUID]:
    started = await asyncio.gather(*(client.run(slug, {"number": number}) for number in range(RUNS)))
    return [run.run_id for run in started]


async def has_restarted(stack: Stack, name: str, pid: int) -> bool:
    services = (await asyncio.to_thread(stack.status))["services"]
    return any(part["name"] == name and part["state"] == "running" and part["pid"] != pid for part in services)


@pytest.mark.parametrize("prefix", ["coordinator-1", "worker-http_request-1", "worker-text", "definition-1"])
async def test_death_of_a_service_loses_no_run(
    stack: Stack, client: PipewrightClient, ledger: Ledger, prefix: str
) -> None:
    slug = f"death-of-{prefix.partition('_')[0]}"
    await client.apply(journey(slug, ledger.url))
    run_ids = await start_all(client, slug)
    await eventually(lambda: len(ledger.of(f"{slug}-")) > RUNS // 10, "some work")

    [(name, pid)] = (await asyncio.to_thread(stack.pids, prefix)).items()
    os.kill(pid, signal.SIGKILL)

    runs = await asyncio.gather(*(client.wait(run_id, 120) for run_id in run_ids))
    assert {run.status for run in runs} == {RunStatus.COMPLETED}
    for number, run_id in enumerate(run_ids):
        run = await client.get_run(run_id, include_node_results=True)
        nodes = run.node_results or []
        assert [node.status for node in nodes] == [NodeStatus.COMPLETED] * 5
        assert run.output == {"join": {"text": f"left {slug}-{number} right number {number}"}}
        for node in nodes:
            outcomes = [attempt.outcome.value for attempt in node.attempts]
            assert outcomes.count("completed") == 1
            assert [attempt.attempt for attempt in node.attempts] == list(range(1, len(outcomes) + 1))
    # What was in flight in a worker that died is done again, and nothing else.
    extra = sum(ledger.of(f"{slug}-").values()) - RUNS
    assert 0 <= extra <= (8 if prefix.startswith("worker-http") else 0)
    await eventually(lambda: has_restarted(stack, name, pid), f"the restart of {name}")
