"""A process that is alive and yet useless ends itself."""

from __future__ import annotations

import asyncio
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.cli.local.state import LocalState
from shared.bus.address import read_address
from shared.greeting import postgres_greets
from shared.watchdog import EXIT_STATUS
from tests.eventually import eventually
from tests.faults.proxy import Proxy, proxying

#: A loop that turns for ever, or stalls; nothing is ever heard from NATS.
PROGRAM = """
import asyncio, sys, time
from shared.greeting import nats_greets
from shared.watchdog import Part, Watchdog

async def main(port, stalls):
    watchdog = Watchdog([Part("NATS", lambda: nats_greets([("127.0.0.1", port)]), 2.0)], stall_limit_s=2.0)
    watchdog.start()
    print("started", flush=True)
    while True:
        watchdog.tick()
        if stalls:
            time.sleep(60)
        await asyncio.sleep(0.1)

asyncio.run(main(int(sys.argv[1]), sys.argv[2] == "stalls"))
"""


#: Connected to both, and watched as a service is; then busy with nothing, or with publishing for as long as NATS takes
#: it: what cannot be sent fills every buffer on the way.
SERVICE = """
import asyncio, sys
from shared.bus.connection import Bus
from shared.postgres import make_pool
from shared.readiness import Readiness
from shared.service import watching

async def main(nats_url, database_url, publishes):
    bus, pool = Bus(nats_url, "test"), make_pool(database_url, "test")
    await bus.connect()
    await pool.open(wait=True)
    readiness = Readiness(bus, pool)
    async with watching(bus, pool, readiness, nats_limit_s=6.0, postgres_limit_s=6.0):
        while readiness.problems():
            await asyncio.sleep(0.1)
        print("started", flush=True)
        while True:
            if publishes:
                await bus.client.publish("anything", b"x" * 500_000)
            await asyncio.sleep(0 if publishes else 1)

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] == "publishes"))
"""


#: Nobody reads what it says, and there is no more room for its words.
SPEECHLESS = """
import asyncio, os, time
from shared.watchdog import Watchdog

async def main():
    watchdog = Watchdog([], stall_limit_s=2.0)
    watchdog.start()
    print("started", flush=True)
    for output in (1, 2):
        os.set_blocking(output, False)
        # Again and again, since who made this process reads some of it at first.
        for _ in range(10):
            try:
                while True:
                    os.write(output, b"x" * 4096)
            except BlockingIOError:
                time.sleep(0.05)
        os.set_blocking(output, True)
    time.sleep(60)

asyncio.run(main())
"""


@contextmanager
def greeting(words: bytes, asked: threading.Event) -> Iterator[int]:
    """The port of a server that says this to everyone."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(words)
            asked.set()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def through(proxy: Proxy, database_url: str, postgres: LocalState) -> str:
    return database_url.replace(str(postgres.postgres_port), str(proxy.port))


async def begin(program: str, *arguments: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if line == b"started\n":
            break
    else:
        raise AssertionError("it ended at its start")
    return process


async def ends_itself(process: asyncio.subprocess.Process, reason: str, within_s: float) -> None:
    """And says why."""
    output, errors = await asyncio.wait_for(process.communicate(), within_s)
    assert process.returncode == EXIT_STATUS
    assert reason in (output + errors).decode()


@pytest.mark.parametrize(
    ("how", "reason"), [("stalls", "the event loop has stalled"), ("turns", "cut off from NATS, which answers others")]
)
async def test_process_that_is_of_no_use_ends_itself(how: str, reason: str) -> None:
    with greeting(b"INFO {}\r\n", threading.Event()) as port:
        await ends_itself(await begin(PROGRAM, str(port), how), reason, within_s=20)


async def test_process_waits_for_a_server_that_is_away() -> None:
    asked = threading.Event()
    with greeting(b"", asked) as port:
        process = await begin(PROGRAM, str(port), "turns")
        assert await asyncio.to_thread(asked.wait, 20)
        # It has looked, was not greeted, and goes on; one that is away altogether is the same to it.
        assert process.returncode is None
        process.kill()
        await process.wait()


async def test_a_black_hole_with_full_buffers_ends_the_process(empty_nats_url: str, database_url: str) -> None:
    """nats-py waits for the buffer, and so neither pings nor connects anew, although others get through."""
    [(_, port)] = read_address(empty_nats_url).hosts
    async with proxying(port) as proxy:
        nats_url = empty_nats_url.replace(str(port), str(proxy.port))
        process = await begin(SERVICE, nats_url, database_url, "publishes")
        proxy.black_hole_connected()
        await ends_itself(process, "cut off from NATS, which answers others", within_s=40)


async def test_a_black_hole_before_postgres_alone_ends_the_process(
    empty_nats_url: str, database_url: str, postgres: LocalState
) -> None:
    """Whoever waits for an answer has its connection for ever, and the pool has none to spare in the end."""
    async with proxying(postgres.postgres_port) as proxy:
        process = await begin(SERVICE, empty_nats_url, through(proxy, database_url, postgres), "idle")
        proxy.black_hole_connected()
        await ends_itself(process, "cut off from Postgres, which answers others", within_s=40)


async def test_process_waits_for_a_postgres_that_is_away(
    empty_nats_url: str, database_url: str, postgres: LocalState
) -> None:
    async with proxying(postgres.postgres_port) as proxy:
        process = await begin(SERVICE, empty_nats_url, through(proxy, database_url, postgres), "idle")
        before = proxy.connections
        proxy.black_hole()
        # Of the process, nothing but the watchdog connects anew; twice, so that the first one was in vain.
        await eventually(lambda: proxy.connections == before + 2, "two looks of the watchdog", timeout_s=40)
        assert process.returncode is None
        process.kill()
        await process.communicate()


async def test_postgres_greets_whom_it_lets_in(database_url: str) -> None:
    assert await asyncio.to_thread(postgres_greets, database_url)


async def test_postgres_that_is_starting_is_away() -> None:
    refusal = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"
    with greeting(b"E" + (4 + len(refusal)).to_bytes(4) + refusal, threading.Event()) as port:
        url = f"postgresql://user:word@127.0.0.1:{port}/any?sslmode=disable"
        assert not await asyncio.to_thread(postgres_greets, url)


async def test_process_that_cannot_say_so_ends_itself_all_the_same() -> None:
    process = await begin(SPEECHLESS)
    # `wait` would read what it says.
    await eventually(lambda: process.returncode is not None, "its end", 20)
    assert process.returncode == EXIT_STATUS
    await process.communicate()
