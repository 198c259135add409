"""A node type from outside the tree is a new worker and nothing else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.client import PipewrightClient
from shared.contracts.states import RunStatus
from shared.errors import ProblemError
from tests.e2e.graphs import edge, pipeline, text
from tests.eventually import eventually
from tests.stack import clean_environment

FOLDER = Path(__file__).parents[2] / "examples" / "node_types"


@asynccontextmanager
async def worker(program: str, client: PipewrightClient, nats_url: str) -> AsyncIterator[None]:
    """A worker in a process of its own; entered when its type is online."""
    environment = clean_environment() | {"PIPEWRIGHT_NATS_URL": nats_url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(FOLDER / program), env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await eventually(lambda: is_online(client, program.removesuffix(".py")), f"the type of {program}")
        yield
    finally:
        process.terminate()
        await process.wait()


async def is_online(client: PipewrightClient, name: str) -> bool:
    return any(kind.node_type == name and kind.is_online for kind in await client.node_types())


@pytest.mark.parametrize(
    ("program", "config", "expected"),
    [
        ("reverse.py", {"text": "{{ input.word }}"}, "maerts"),
        ("shout.py", {"of": "{{ input.word }}", "marks": 2}, "STREAM!!"),
    ],
)
async def test_type_of_a_worker_from_outside_runs_among_the_others(
    client: PipewrightClient, nats_url: str, program: str, config: dict[str, object], expected: str
) -> None:
    name = program.removesuffix(".py")
    nodes = [{"key": "turn", "type": name, "config": config}, text("say", "{{ nodes.turn.text }}")]
    document = pipeline(f"with-{name}", nodes, [edge("turn", "say")])
    with pytest.raises(ProblemError, match=f"unknown type '{name}'"):
        await client.apply(document)

    async with worker(program, client, nats_url):
        await client.apply(document)
        started = await client.run(f"with-{name}", {"word": "stream"})
        run = await client.wait(started.run_id, 30)

    assert run.status is RunStatus.COMPLETED
    assert run.output == {"say": {"text": expected}}


async def test_work_waits_for_a_worker_that_left(client: PipewrightClient, nats_url: str) -> None:
    nodes = [{"key": "turn", "type": "reverse", "config": {"text": "{{ input.word }}"}}]

    async def is_offline() -> bool:
        return not await is_online(client, "reverse")

    await eventually(is_offline, "the type to be offline")
    await client.apply(pipeline("waits-for-a-worker", nodes))
    started = await client.run("waits-for-a-worker", {"word": "stream"})
    assert (await client.get_run(started.run_id)).status is RunStatus.RUNNING

    async with worker("reverse.py", client, nats_url):
        run = await client.wait(started.run_id, 30)

    assert run.output == {"turn": {"text": "maerts"}}
