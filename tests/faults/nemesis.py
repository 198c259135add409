"""Does one fault after another; a seed chooses which, where and how long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.contracts import subjects
from tests.eventually import eventually
from tests.faults.extra import Done
from tests.faults.standstill import Period, now
from tests.faults.system import HTTP_SLOTS, System

#: Services whose work the ledger sees: http_request and llm.
CALLERS = ("worker-http_request", "worker-llm")
#: Messages of others that the nemesis keeps.
KEPT = 200

Fault = Callable[["Nemesis"], Awaitable[None]]
Ready = dict[str, object]


@dataclass
class Nemesis:
    """What is the same for all faults; each is a function of its own that is given this."""

    system: System
    random: Random
    #: A connection that no proxy carries.
    client: Client
    done: list[Done] = field(default_factory=list)
    #: Results that passed by, to be said again.
    results: list[Msg] = field(default_factory=list)
    #: Called with each piece of work that passes by: a NodeReady as plain values.
    on_ready: Callable[[Ready], Awaitable[None]] | None = None
    commits_cut: int = 0
    _most_extra: int = 0

    async def listen(self) -> None:
        await self.client.subscribe(subjects.ALL_NODE_RESULTS, cb=self._keep_result)
        await self.client.subscribe(subjects.ALL_NODE_READY, cb=self._tell_ready)

    async def run(self, seconds: float, calm_s: float, faults: dict[str, Fault]) -> None:
        """Each kind at least once, then for as long as it is told, with a calm after each."""
        end = asyncio.get_running_loop().time() + seconds
        names = sorted(faults)
        if not names:
            await asyncio.sleep(seconds)
            return
        is_first = True
        while is_first or asyncio.get_running_loop().time() < end:
            # Each kind comes before any comes again.
            self.random.shuffle(names)
            for name in names:
                await self.inflict(name, faults[name])
                await asyncio.sleep(self.random.uniform(0.5, 1.5) * calm_s)
                if not is_first and asyncio.get_running_loop().time() >= end:
                    return
            is_first = False

    async def inflict(self, name: str, fault: Fault) -> None:
        # What it does through NATS must not fall into the end of the fault before.
        await eventually(lambda: self.client.is_connected, "NATS again", timeout_s=60)
        begin, self._most_extra = now(), 0
        try:
            await fault(self)
        finally:
            self.done.append(Done(name, begin, now(), self._most_extra))

    def hits(self, *services: str) -> None:
        """Called by a fault: these lose track of what they have in flight, which may be executed again."""
        self._most_extra += sum(HTTP_SLOTS for name in services if name.startswith(CALLERS))

    @property
    def periods(self) -> list[Period]:
        return [(fault.begin, fault.end) for fault in self.done]

    async def _keep_result(self, message: Msg) -> None:
        if len(self.results) < KEPT:
            self.results.append(message)

    async def _tell_ready(self, message: Msg) -> None:
        if self.on_ready is not None:
            with suppress(orjson.JSONDecodeError):
                await self.on_ready(orjson.loads(message.data))
