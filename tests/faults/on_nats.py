"""Faults of NATS: the server, its network, and what it keeps."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

import nats.errors
import nats.js.errors

from services.cli.setup import make_topology
from shared.contracts import subjects
from tests.eventually import eventually
from tests.faults.nemesis import CALLERS, Nemesis

BUSY_STREAMS = (subjects.NODE_WORK, subjects.NODE_RESULTS, subjects.RUN_EVENTS)
QUEUES = (subjects.NODE_WORK, subjects.NODE_RESULTS, subjects.RUN_REQUESTS)
BUCKETS = (
    subjects.NODE_TYPES_STREAM,
    subjects.ENDED_RUNS_STREAM,
    subjects.TRANSFERS_STREAM,
)
ABSENT = (nats.errors.Error, nats.js.errors.Error)


async def kill(nemesis: Nemesis) -> None:
    nemesis.hits(*CALLERS)
    await nemesis.system.servers.nats.kill()
    await asyncio.sleep(nemesis.random.uniform(0, 5))
    await nemesis.system.servers.nats.start()


async def restart(nemesis: Nemesis) -> None:
    """In order, as an upgrade does; what workers say meanwhile does not arrive."""
    nemesis.hits(*CALLERS)
    await nemesis.system.servers.nats.stop()
    await nemesis.system.servers.nats.start()


async def freeze(nemesis: Nemesis) -> None:
    nemesis.hits(*CALLERS)
    nemesis.system.servers.nats.signal(signal.SIGSTOP)
    await asyncio.sleep(nemesis.random.uniform(1, 15))
    nemesis.system.servers.nats.signal(signal.SIGCONT)


def away(seconds: float) -> Callable[[Nemesis], Awaitable[None]]:
    async def leave(nemesis: Nemesis) -> None:
        nemesis.hits(*CALLERS)
        await nemesis.system.servers.nats.kill()
        await asyncio.sleep(seconds)
        await nemesis.system.servers.nats.start()

    return leave


async def wipe(nemesis: Nemesis) -> None:
    """Everything that it kept is gone, acknowledged or not; run requests among it are not promised here.

    So nobody asks through the stream meanwhile, and what was asked is taken first.
    """
    nemesis.hits(*CALLERS)
    async with nemesis.system.stream_gate.closed():
        await eventually(lambda: _holds_no_requests(nemesis), "run requests taken", timeout_s=60)
        await nemesis.system.servers.nats.kill()
        nemesis.system.servers.wipe_nats()
        await nemesis.system.servers.nats.start()
        await make_topology(nemesis.system.nats_url)


async def _holds_no_requests(nemesis: Nemesis) -> bool:
    try:
        info = await nemesis.client.jetstream().stream_info(subjects.RUN_REQUESTS)
    except ABSENT:
        return False
    return info.state.messages == 0


async def delete_stream(nemesis: Nemesis) -> None:
    nemesis.hits(*CALLERS)
    with suppress(*ABSENT):
        await nemesis.client.jetstream().delete_stream(nemesis.random.choice(BUSY_STREAMS))
    await make_topology(nemesis.system.nats_url)


async def delete_consumer(nemesis: Nemesis) -> None:
    """Nobody makes it anew by hand. What was delivered and is not acknowledged is delivered again to the next one."""
    nemesis.hits(*CALLERS)
    jetstream = nemesis.client.jetstream()
    stream = nemesis.random.choice(QUEUES)
    names = sorted(str(info.name) for info in await jetstream.consumers_info(stream))
    if names:
        with suppress(*ABSENT):
            await jetstream.delete_consumer(stream, nemesis.random.choice(names))


async def delete_buckets(nemesis: Nemesis) -> None:
    """Announcements, ended runs and large bodies; an operator makes them anew a moment later."""
    jetstream = nemesis.client.jetstream()
    for bucket in BUCKETS:
        with suppress(*ABSENT):
            await jetstream.delete_stream(bucket)
    await asyncio.sleep(nemesis.random.uniform(0, 2))
    await make_topology(nemesis.system.nats_url)


async def cut(nemesis: Nemesis) -> None:
    nemesis.hits(*CALLERS)
    nemesis.system.nats_proxy.cut()


async def black_hole(nemesis: Nemesis) -> None:
    nemesis.hits(*CALLERS)
    nemesis.system.nats_proxy.black_hole()
    await asyncio.sleep(nemesis.random.uniform(5, 25))
    nemesis.system.nats_proxy.heal()
    nemesis.system.nats_proxy.cut()
