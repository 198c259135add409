"""Whether a service says truly, and soon, that it can do its work."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from shared.bus.connection import Bus
from shared.health import serving_health
from shared.postgres import make_pool
from shared.readiness import Readiness
from shared.tasks import Tasks
from tests.eventually import eventually
from tests.faults.servers import Servers
from tests.ports import free_port


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    started = Servers(tmp_path)
    await started.start()
    yield started
    await started.stop()


async def test_readiness_is_true_within_seconds_and_liveness_stays(servers: Servers) -> None:
    database_url = servers.state.database_url.removesuffix("/pipewright") + "/postgres"
    async with AsyncExitStack() as stack:
        bus, pool = Bus(servers.state.nats_url, "test"), make_pool(database_url, "test")
        await bus.connect()
        stack.push_async_callback(bus.close)
        await pool.open(wait=True)
        stack.push_async_callback(pool.close)
        port, readiness = free_port(), Readiness(bus, pool)
        await stack.enter_async_context(serving_health(readiness, "127.0.0.1", port))
        await stack.enter_async_context(Tasks([readiness.run()]))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5))

        async def says(status: int, words: str) -> bool:
            try:
                answer = await client.get("/ready")
            except httpx.TransportError:
                return False
            return answer.status_code == status and answer.json()["status"] == words

        await eventually(lambda: says(200, "ready"), "ready")

        # Frozen, as by a disk that hangs: connections stay, and nothing answers on them.
        servers.postgres.signal(signal.SIGSTOP)
        await eventually(lambda: says(503, "Postgres does not answer"), "the truth about Postgres", timeout_s=8)
        assert (await client.get("/live")).status_code == 200
        servers.postgres.signal(signal.SIGCONT)
        await eventually(lambda: says(200, "ready"), "ready again")

        await servers.nats.kill()
        await eventually(lambda: says(503, "NATS does not answer"), "the truth about NATS", timeout_s=8)
        assert (await client.get("/live")).status_code == 200
        await servers.nats.start()
        await eventually(lambda: says(200, "ready"), "ready again")


async def test_a_pool_that_is_busy_is_heard_though_it_has_no_time_for_questions(
    empty_nats_url: str, database_url: str
) -> None:
    """A process that has too much to do would not have less when it is started anew."""
    bus, pool = Bus(empty_nats_url, "test"), make_pool(database_url, "test", size=1)
    heard: list[str] = []

    async def use() -> None:
        while True:
            async with pool.connection(timeout=60) as connection:
                await connection.execute("SELECT pg_sleep(1.5)")

    await bus.connect()
    await pool.open(wait=True)
    readiness = Readiness(bus, pool)
    async with Tasks([use() for _ in range(8)]):
        await eventually(lambda: pool.get_stats().get("requests_waiting", 0) == 7, "a pool that is busy")
        async with Tasks([readiness.run(heard.append)]):
            await eventually(lambda: heard.count("Postgres") == 2, "two signs of life", timeout_s=20)
            assert readiness.problems() == ["Postgres does not answer"]
    await pool.close()
    await bus.close()


async def test_nats_is_heard_while_its_messages_keep_its_answers_waiting() -> None:
    """A coordinator that is flooded with requests would not be flooded less when it is started anew."""
    heard: list[str] = []
    writers: list[asyncio.StreamWriter] = []
    greeting = b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"proto":1,"headers":true}\r\n'

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(greeting)
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")
        while await reader.readline():
            writer.write(b"MSG any 1 1\r\nx\r\n")

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    bus = Bus(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", "test")
    await bus.connect()
    readiness = Readiness(bus)
    async with Tasks([readiness.run(heard.append)]):
        await eventually(lambda: heard.count("NATS") == 2, "two signs of life", timeout_s=20)
        assert readiness.problems() == ["NATS does not answer"]
    server.close()
    for writer in writers:
        writer.transport.abort()
    await eventually(lambda: not bus.is_connected, "the end of the connection")
    await bus.close()
