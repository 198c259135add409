"""A process that is alive and yet useless ends itself."""

from __future__ import annotations

import asyncio
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.bus.address import read_address
from shared.watchdog import EXIT_STATUS
from tests.eventually import eventually
from tests.faults.proxy import proxying

#: A loop that turns for ever, or stalls; nothing is ever heard from NATS.
PROGRAM = """
import asyncio, sys, time
from shared.watchdog import Watchdog

async def main(port, stalls):
    watchdog = Watchdog([("127.0.0.1", port)], stall_limit_s=2.0, cut_off_limit_s=2.0)
    watchdog.start()
    print("started", flush=True)
    while True:
        watchdog.tick()
        if stalls:
            time.sleep(60)
        await asyncio.sleep(0.1)

asyncio.run(main(int(sys.argv[1]), sys.argv[2] == "stalls"))
"""


#: Publishes for as long as NATS takes it; what cannot be sent fills every buffer on the way.
PUBLISHER = """
import asyncio, sys
from shared.bus.connection import Bus
from shared.watchdog import Watchdog

async def main(url):
    bus = Bus(url, "test")
    await bus.connect()
    watchdog = Watchdog(bus.address.hosts, cut_off_limit_s=6.0)
    bus.on_heard(watchdog.heard)
    await bus.ping()
    watchdog.start()
    print("started", flush=True)
    async def publish():
        while True:
            await bus.client.publish("anything", b"x" * 500_000)
            await asyncio.sleep(0)
    publishing = asyncio.create_task(publish())
    while True:
        watchdog.tick()
        await asyncio.sleep(0.1)

asyncio.run(main(sys.argv[1]))
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


@pytest.mark.parametrize(
    ("how", "reason"), [("stalls", "the event loop has stalled"), ("turns", "cut off from NATS, which answers others")]
)
async def test_process_that_is_of_no_use_ends_itself(how: str, reason: str) -> None:
    with greeting(b"INFO {}\r\n", threading.Event()) as port:
        process = await begin(PROGRAM, str(port), how)
        output, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == EXIT_STATUS
    assert reason in (output + errors).decode()


async def test_process_waits_for_a_server_that_is_away() -> None:
    asked = threading.Event()
    with greeting(b"", asked) as port:
        process = await begin(PROGRAM, str(port), "turns")
        assert await asyncio.to_thread(asked.wait, 20)
        # It has looked, was not greeted, and goes on; one that is away altogether is the same to it.
        assert process.returncode is None
        process.kill()
        await process.wait()


async def test_a_black_hole_with_full_buffers_ends_the_process(empty_nats_url: str) -> None:
    """nats-py waits for the buffer, and so neither pings nor connects anew, although others get through."""
    address = read_address(empty_nats_url)
    [(_, port)] = address.hosts
    async with proxying(port) as proxy:
        process = await begin(PUBLISHER, empty_nats_url.replace(str(port), str(proxy.port)))
        proxy.black_hole_connected()
        output, errors = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == EXIT_STATUS
    assert "cut off from NATS, which answers others" in (output + errors).decode()


async def test_process_that_cannot_say_so_ends_itself_all_the_same() -> None:
    process = await begin(SPEECHLESS)
    # `wait` would read what it says.
    await eventually(lambda: process.returncode is not None, "its end", 20)
    assert process.returncode == EXIT_STATUS
    await process.communicate()
