"""A process that is alive and yet useless ends itself."""

from __future__ import annotations

import asyncio
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.watchdog import EXIT_STATUS

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


async def begin(port: int, how: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(port), how, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"started\n"
    return process


@pytest.mark.parametrize(
    ("how", "reason"), [("stalls", "the event loop has stalled"), ("turns", "cut off from NATS, which answers others")]
)
async def test_process_that_is_of_no_use_ends_itself(how: str, reason: str) -> None:
    with greeting(b"INFO {}\r\n", threading.Event()) as port:
        process = await begin(port, how)
        output, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == EXIT_STATUS
    assert reason in (output + errors).decode()


async def test_process_waits_for_a_server_that_is_away() -> None:
    asked = threading.Event()
    with greeting(b"", asked) as port:
        process = await begin(port, "turns")
        assert await asyncio.to_thread(asked.wait, 20)
        # It has looked, was not greeted, and goes on; one that is away altogether is the same to it.
        assert process.returncode is None
        process.kill()
        await process.wait()
