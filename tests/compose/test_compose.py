"""docker-compose.yml for real: scaled, killed, restarted one after another, upgraded with the data in place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.compose.composed import Composed, Load
from tests.eventually import eventually

EXECUTORS = ("executor-text", "executor-condition", "executor-transform", "executor-http", "executor-llm")
SERVICES = ("definition", "coordinator", "gateway", *EXECUTORS)


@asynccontextmanager
async def under(load: Load, rate: float = 10) -> AsyncIterator[None]:
    """While runs are started all the time; the first has ended before, and afterwards all are told."""
    await load.start(1)
    assert await load.ends() == {"completed": len(load.run_ids)}
    starting = asyncio.create_task(load.keep_starting(rate))
    try:
        yield
    finally:
        starting.cancel()
        await starting


async def all_completed(load: Load, what: str) -> None:
    ends = await load.ends()
    print(f"{what}: {len(load.run_ids)} runs, {dict(ends)}; requests sent again: {dict(load.unanswered)}")
    assert ends == {"completed": len(load.run_ids)}


async def test_work_spreads_over_executors_that_are_added_under_load(composed: Composed, load: Load) -> None:
    await load.start(200)
    await composed.do("up", "--detach", "--wait", "--no-recreate", "--scale", "executor-llm=4")
    await load.start(400)

    await all_completed(load, "scaled to 4")
    workers = await load.workers("ask")
    print(f"nodes a worker: {dict(workers)}")
    assert len(workers) == 4
    await composed.do("up", "--detach", "--wait", "--no-recreate", "--scale", "executor-llm=1")


async def test_containers_that_are_killed_take_no_run_with_them(composed: Composed, load: Load) -> None:
    async with under(load):
        for service in ("coordinator", "executor-llm", "definition", "gateway", "nats", "postgres"):
            await composed.do("kill", service)
            await composed.do("up", "--detach", "--wait", "--no-recreate")

    await all_completed(load, "six kinds of containers killed")


async def test_a_rolling_restart_fails_no_run(composed: Composed, load: Load) -> None:
    async with under(load):
        for service in SERVICES:
            await composed.do("restart", service)
            await composed.do("up", "--detach", "--wait", "--no-recreate")

    await all_completed(load, "every service restarted")


async def test_an_upgrade_keeps_the_data_and_fails_no_run(composed: Composed, load: Load) -> None:
    await load.start(1)
    await all_completed(load, "before the upgrade")
    [before] = load.run_ids
    described = composed.folder / "pyproject.toml"
    described.write_text(described.read_text().replace('version = "0.1.0"', 'version = "0.1.1"', 1))
    async with under(load):
        await composed.do("up", "--detach", "--build", "--wait")

        async def is_new() -> bool:
            answer = await load.api.get("/version")
            return answer.status_code == 200 and answer.json()["version"] == "0.1.1"

        await eventually(is_new, "the new version")

    await all_completed(load, "upgraded")
    run = (await load.api.get(f"/pipeline_runs/{before}")).json()
    assert run["status"] == "completed"
    assert "rain" in run["output"]["end"]["text"]
