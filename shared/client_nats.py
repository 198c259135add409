"""How the client talks over NATS: request and reply, the stream of run requests, and events as they are published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import BaseModel

from shared.bus.address import connect_once
from shared.bus.rpc import Rpc
from shared.bus.run_requests import publish_run_request, start_run
from shared.bus.transfers import Transfers
from shared.contracts import subjects
from shared.contracts.runs import SILENCE_S, Run, RunEvent, RunGet, RunRequested, RunStarted
from shared.errors import UnavailableError


@asynccontextmanager
async def connect_nats(url: str) -> AsyncIterator[NatsTransport]:
    """Credentials stand in the URL."""
    client = await connect_once(url)
    # One that was there and went away is waited for.
    client.options |= {"allow_reconnect": True, "max_reconnect_attempts": -1, "reconnect_time_wait": 0.25}
    try:
        yield NatsTransport(client)
    finally:
        await client.close()


class NatsTransport:
    """On a connected client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._jetstream = client.jetstream(timeout=5)
        self._rpc = Rpc(client, Transfers(self._jetstream))

    async def call(self, subject: str, request: BaseModel, timeout_s: float) -> Any:
        return await self._rpc.call_raw(subject, request, timeout_s)

    async def start(self, request: RunRequested) -> RunStarted:
        """The stream takes the request when no coordinator answers: the run is `pending` then."""
        return await start_run(self._rpc, self._jetstream, request)

    async def request(self, request: RunRequested) -> RunStarted:
        """Through the stream: it runs, whoever is away now."""
        return await publish_run_request(self._jetstream, request)

    async def events(self, run_id: UUID) -> AsyncGenerator[Run | RunEvent, None]:
        arrived: asyncio.Queue[RunEvent] = asyncio.Queue()

        async def on_event(message: Msg) -> None:
            event = RunEvent.model_validate_json(message.data)
            if event.run_id == run_id:
                arrived.put_nowait(event)

        subscription = await self.client.subscribe(subjects.ALL_RUN_EVENTS, cb=on_event)
        try:
            seq = -1
            event: RunEvent | None = None
            while True:
                if event is None or event.seq > seq + 1:
                    run = await self._read_pending(run_id)
                    if run is not None and run.seq > seq:
                        seq = run.seq
                        yield run
                        if run.status.is_final:
                            return
                elif event.seq > seq:
                    seq = event.seq
                    yield event
                    if event.status.is_final:
                        return
                event = await _next(arrived)
        finally:
            await subscription.unsubscribe()

    async def _read_pending(self, run_id: UUID) -> Run | None:
        """None while no coordinator answers; whoever waits goes on waiting."""
        try:
            return await self._rpc.call(subjects.RUNS_GET, RunGet(run_id=run_id), Run, 30.0)
        except UnavailableError:
            return None


async def _next(arrived: asyncio.Queue[RunEvent]) -> RunEvent | None:
    """The next event, None after a silence."""
    try:
        async with asyncio.timeout(SILENCE_S):
            return await arrived.get()
    except TimeoutError:
        return None
