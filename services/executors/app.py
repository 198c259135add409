"""Puts a worker process together: one or several node types on one connection."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import nats.errors

from services.executors.kit.announcer import Announcer
from services.executors.kit.attempt import Attempts, EmitTokens
from services.executors.kit.child import RenderPool
from services.executors.kit.ended_runs import EndedRuns
from services.executors.kit.node_type import NodeType
from services.executors.kit.worker import Worker, encode_tokens
from services.executors.registry import make_node_types, with_internal
from services.executors.settings import ExecutorSettings
from shared.bus.connection import Bus
from shared.bus.publish import Publisher
from shared.bus.transfers import Transfers
from shared.clock import SystemClock
from shared.contracts import subjects
from shared.contracts.nodes import NodeReady
from shared.logging import configure_logging, ignore_level_signal
from shared.service import OnReady, run_service
from shared.settings import SettingsError, read_settings
from shared.tasks import Tasks, watched


def serve_forever(*node_types: NodeType) -> None:
    """A worker process of types from outside the tree, until SIGTERM; settings come from the environment.

    Ends with status 2 when they are wrong.
    """
    try:
        settings = read_settings(ExecutorSettings)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201  # there is no log yet
        raise SystemExit(2) from None
    ignore_level_signal()
    configure_logging("worker", settings.log_level, settings.log_format)
    asyncio.run(serve(settings, node_types, lambda: None))


async def run(settings: ExecutorSettings, node_types: Sequence[str], on_ready: OnReady) -> None:
    """Serve these built-in types, and the internal ones beside them, until SIGTERM."""
    await serve(settings, make_node_types(with_internal(node_types), settings), on_ready)


async def serve(settings: ExecutorSettings, node_types: Sequence[NodeType], on_ready: OnReady) -> None:
    """Serve these types, built in or not, until SIGTERM; work that goes on may end first."""
    bus = Bus(settings.nats_url, f"worker-{'-'.join(kind.name for kind in node_types)}")

    await run_service("worker", bus, None, lambda: working(bus, settings, node_types), settings, on_ready)


@asynccontextmanager
async def working(bus: Bus, settings: ExecutorSettings, node_types: Sequence[NodeType]) -> AsyncIterator[None]:
    """Workers of these types for as long as it is entered, on a connected bus."""
    client, jetstream = bus.client, bus.client.jetstream(timeout=5)
    publisher, transfers, clock = Publisher(client), Transfers(jetstream), SystemClock()
    renderers, ended_runs = RenderPool(), EndedRuns(client)
    slots = {kind.name: settings.slots.get(kind.name, kind.slots) for kind in node_types}
    announcer = Announcer(client, [kind.announcement(settings.worker_name, slots[kind.name]) for kind in node_types])
    workers = [
        Worker(
            client,
            jetstream,
            publisher,
            kind,
            slots[kind.name],
            settings.worker_name,
            Attempts(kind, renderers, transfers, clock, _token_emitter(bus) if kind.emits_tokens else None),
            ended_runs,
            clock,
            announcer.announce,
        )
        for kind in node_types
    ]
    bus.on_reconnect(ended_runs.restart)
    bus.on_reconnect(announcer.announce)
    for worker in workers:
        bus.on_reconnect(worker.pull.reset)
    await publisher.start()
    await announcer.announce()
    stopping = asyncio.Event()
    async with Tasks([ended_runs.run(), ended_runs.notice_sleep(), announcer.keep_announcing()]):
        await ended_runs.wait_until_read()
        await asyncio.gather(*(announcer.wait_until_accepted(kind.name) for kind in node_types))
        running = [watched(worker.run(stopping)) for worker in workers]
        try:
            yield
        finally:
            await announcer.take_back()
            stopping.set()
            await asyncio.gather(*running)
            await renderers.close()
            for kind in node_types:
                await kind.close()


def _token_emitter(bus: Bus) -> Callable[[NodeReady], EmitTokens]:
    """Passes a model's text on as it comes; best effort, and never in the way of the work."""
    sending: set[asyncio.Task[None]] = set()

    def emitter(ready: NodeReady) -> EmitTokens:
        subject = subjects.node_tokens(ready.run_id)
        counts: Counter[str] = Counter()

        def emit(text: str) -> None:
            counts["sent"] += 1
            task = asyncio.create_task(_publish(bus, subject, encode_tokens(ready, counts["sent"], text)))
            sending.add(task)
            task.add_done_callback(sending.discard)

        return emit

    return emitter


async def _publish(bus: Bus, subject: str, body: bytes) -> None:
    with suppress(nats.errors.Error):
        await bus.client.publish(subject, body)
