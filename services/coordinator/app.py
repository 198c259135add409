"""Puts a coordinator together: bus, pool, loops and answers; nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any

from services.coordinator.actions import RunActions
from services.coordinator.dispatch import Dispatcher
from services.coordinator.ended_runs import EndedRuns
from services.coordinator.handlers import RunHandlers
from services.coordinator.leases import Leases
from services.coordinator.reconciler import Reconciler
from services.coordinator.request_loop import RequestLoop
from services.coordinator.results import ResultReader
from services.coordinator.retention import Retention
from services.coordinator.settings import CoordinatorSettings
from services.coordinator.settler import Settler
from services.coordinator.settling_loop import SettlingLoop
from services.coordinator.starter import Starter
from services.coordinator.stream_ages import StreamAges
from services.coordinator.tokens import Tokens
from services.coordinator.versions import Versions
from services.coordinator.webhook_handlers import WebhookHandlers
from services.coordinator.webhooks import Webhooks
from services.coordinator.windows import Windows
from shared.bus.connection import Bus
from shared.bus.durability import warn_of_durability
from shared.bus.publish import Publisher
from shared.bus.pull import Pull
from shared.bus.rpc import Rpc
from shared.bus.topology import ensure_coordinator_durable
from shared.bus.transfers import Transfers
from shared.contracts import subjects
from shared.logging import get_logger
from shared.postgres import Pool, make_pool
from shared.service import OnReady, run_service
from shared.tasks import Tasks, watched

log = get_logger(__name__)

#: Result messages that may be unsettled here at once.
RESULT_ROOM = 1000
REQUEST_ROOM = 1000
POOL_SIZE = 8
#: How long a stopping coordinator settles what it has taken.
STOP_S = 20.0


async def run(settings: CoordinatorSettings, on_ready: OnReady) -> None:
    """Until SIGTERM; then what was taken is settled and announced first."""
    bus = Bus(settings.nats_url, "coordinator")
    pool = make_pool(settings.database_url, "coordinator", POOL_SIZE, prepares_itself=True)

    await run_service("coordinator", bus, pool, lambda: coordinating(bus, pool, settings), settings, on_ready)


@asynccontextmanager
async def coordinating(bus: Bus, pool: Pool, settings: CoordinatorSettings) -> AsyncIterator[None]:
    """A coordinator for as long as it is entered, on a connected bus and an open pool."""
    client, jetstream = bus.client, bus.client.jetstream(timeout=5)
    transfers, tokens = Transfers(jetstream), Tokens(settings.secret.get_secret_value())
    rpc, publisher = Rpc(client, transfers), Publisher(client)
    windows, ended_runs = Windows(client, settings.window_fast), EndedRuns(client, pool)
    versions, dispatcher = Versions(rpc), Dispatcher(client, publisher, transfers, tokens)
    settler = Settler(pool, versions, dispatcher, windows, ended_runs, Random())
    starter = Starter(pool, rpc, versions, settler.memory, dispatcher, windows)
    results = _pull(bus, subjects.NODE_RESULTS, subjects.NODE_RESULTS_DURABLE, RESULT_ROOM)
    requests = _pull(bus, subjects.RUN_REQUESTS, subjects.RUN_REQUESTS_DURABLE, REQUEST_ROOM)
    actions = RunActions(versions, settler, dispatcher, windows, ended_runs)
    handlers = RunHandlers(pool, versions, starter, actions, requests)
    ages = StreamAges(jetstream, pool)
    webhooks = Webhooks(pool, versions, settler, publisher, tokens, ages, settings.lease_s, settings.sweep_s, Random())
    reconciler = Reconciler(pool, versions, settler, windows, ages, settings.sweep_s)
    leases = Leases(pool, jetstream, settings.lease_s)

    await publisher.start()
    await windows.read()
    endless: list[Coroutine[Any, Any, None]] = [
        windows.keep_reading(), starter.run(), reconciler.run(), reconciler.release_retries(), leases.run(),
        webhooks.run(), ended_runs.run(), warn_of_durability(client),
    ]  # fmt: skip
    if settings.retention_days:
        endless.append(Retention(pool, timedelta(days=settings.retention_days)).run())
    settling = SettlingLoop(results, ResultReader(jetstream, transfers, tokens), settler, webhooks)
    taking = RequestLoop(requests, starter, jetstream)
    bus.on_reconnect(ended_runs.restart)
    async with Tasks(endless):
        await client.subscribe(subjects.ALL_NODE_RUNNING, queue="coordinator", cb=leases.on_running)
        async with _taking(bus, (results, requests), (settling, taking)):
            endpoints = handlers.endpoints() | WebhookHandlers(handlers, webhooks, rpc).endpoints()
            await rpc.serve(endpoints, queue="coordinator")
            yield
            await rpc.stop()
        await rpc.drain()
        await starter.drain()


@asynccontextmanager
async def _taking(bus: Bus, pulls: Sequence[Pull], loops: Sequence[SettlingLoop | RequestLoop]) -> AsyncIterator[None]:
    """Messages are taken while it is entered; those that were taken are settled before it is left."""
    for pull in pulls:
        bus.on_reconnect(pull.reset)
        await pull.start()
    running = [watched(loop.run()) for loop in loops]
    yield
    for pull in pulls:
        await pull.stop()
    await asyncio.wait(running, timeout=STOP_S)


def _pull(bus: Bus, stream: str, durable: str, room: int) -> Pull:
    """Of a durable that is made anew when it is gone; while it is, this coordinator is not ready."""
    jetstream = bus.client.jetstream(timeout=5)

    async def make_anew() -> None:
        for difference in await ensure_coordinator_durable(jetstream, stream):
            log.warning("a consumer was made anew", difference=str(difference))

    pull = Pull(bus.client, stream, durable, room, make_anew)
    bus.parts[f"the consumer {stream}/{durable}"] = lambda: not pull.is_missing
    return pull
