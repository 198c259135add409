"""Run requests that would be acknowledged before they are on disk: a coordinator says so when it starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.js.api import PersistMode

from services.cli.local.nats_server import prepare_nats
from services.cli.local.state import LocalState
from services.cli.setup import make_topology
from shared.bus.address import connect
from shared.bus.durability import SERVERS, problem_of_durability
from shared.bus.topology import streams
from shared.contracts import subjects
from tests.integration.engine import SECRET
from tests.integration.processes import serving
from tests.ports import free_port
from tests.servers import running

WARNING = "run requests may be lost in a power cut of NATS after they were acknowledged"


@asynccontextmanager
async def changed_server(folder: Path, old: str, new: str) -> AsyncIterator[str]:
    """The URL of a server of the local stack with another configuration, and our streams."""
    state = LocalState(nats_port=free_port())
    command = prepare_nats(state, folder)
    configuration = Path(command[2])
    text = configuration.read_text()
    assert old in text
    configuration.write_text(text.replace(old, new))
    async with running(command, state.nats_port):
        await make_topology(state.nats_url)
        yield state.nats_url


async def problem_at(url: str) -> str | None:
    client = await connect(url)
    try:
        return await problem_of_durability(client)
    finally:
        await client.close()


async def test_a_server_that_syncs_every_write_is_good(nats_url: str) -> None:
    assert await problem_at(nats_url) is None


async def test_a_server_that_syncs_later_is_named_with_what_to_do(tmp_path: Path) -> None:
    async with changed_server(tmp_path, "sync_interval: always", "sync_interval: 2m") as url:
        problem = await problem_at(url)

    assert problem is not None
    assert "JetStream of pipewright acknowledges writes before they are on disk" in problem
    assert "sync_interval: always" in problem


async def test_a_server_that_does_not_tell_is_no_proof(tmp_path: Path) -> None:
    told = f'imports: [ {{ service: {{ account: SYS, subject: "{SERVERS}" }} }} ]'
    async with changed_server(tmp_path, told, "") as url:
        problem = await problem_at(url)

    assert problem is not None
    assert "does not tell whether writes are synced" in problem


async def test_a_stream_that_is_written_later_is_told(empty_nats_url: str) -> None:
    client = await connect(empty_nats_url)
    requests = streams()[0]
    assert requests.name == subjects.RUN_REQUESTS
    requests.persist_mode = PersistMode.ASYNC
    await client.jetstream().add_stream(requests)

    problem = await problem_of_durability(client)

    await client.close()
    assert problem is not None
    assert "RUN_REQUESTS is written later" in problem


@pytest.mark.parametrize(("sync", "times"), [("always", 0), ("2m", 1)])
async def test_a_coordinator_warns_at_its_start(tmp_path: Path, database_url: str, sync: str, times: int) -> None:
    async with changed_server(tmp_path, "sync_interval: always", f"sync_interval: {sync}") as url:
        settings = {
            "PIPEWRIGHT_NATS_URL": url,
            "PIPEWRIGHT_DATABASE_URL": database_url,
            "PIPEWRIGHT_SECRET": SECRET,
        }
        async with serving(tmp_path, "coordinator", **settings) as coordinator:
            await coordinator.tells("looked how run requests are kept")
            await coordinator.tells(WARNING, times)
