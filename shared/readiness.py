"""Whether a service can do its work now, told within seconds and without waiting for what is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import nats.errors
import psycopg
import psycopg_pool

from shared.bus.connection import Bus
from shared.errors import words_of
from shared.logging import get_logger
from shared.postgres import Pool

log = get_logger(__name__)

NATS = "NATS"
POSTGRES = "Postgres"
#: How often each part is asked.
ASK_EVERY_S = 2.5
#: A part that has not answered for so long is away.
SILENT_S = 5.0

Ask = Callable[[], Awaitable[None]]
#: Called with the name of a part from which something was heard.
OnHeard = Callable[[str], None]


class BusyError(Exception):
    """The part does its work, and has no time for our question."""


class Readiness:
    """Asks NATS, and Postgres where there is one, in loops of their own; `problems` only looks at the clock."""

    def __init__(self, bus: Bus, pool: Pool | None = None) -> None:
        self._bus = bus
        self._asks: dict[str, Ask] = {NATS: self._ask_nats}
        if pool is not None:
            self._pool = pool
            self._used_ms = 0
            self._asks[POSTGRES] = self._ask_postgres
        self._received = 0
        self._answered: dict[str, float] = {}

    def problems(self) -> list[str]:
        """What is away, in words; empty when the service is ready."""
        now = time.monotonic()
        silent = [f"{part} does not answer" for part in self._asks if now - self._answered.get(part, -1e9) > SILENT_S]
        return silent + [f"{part} is missing" for part, is_there in self._bus.parts.items() if not is_there()]

    async def run(self, on_heard: OnHeard = lambda part: None) -> None:
        """For ever. A part that hangs keeps nobody but its own loop."""
        await asyncio.gather(*(self._keep_asking(part, ask, on_heard) for part, ask in self._asks.items()))

    async def _keep_asking(self, part: str, ask: Ask, on_heard: OnHeard) -> None:
        while True:
            try:
                await ask()
            except BusyError:
                on_heard(part)
            except (nats.errors.Error, psycopg.Error, psycopg_pool.PoolTimeout, OSError, TimeoutError) as error:
                log.debug("a part did not answer", part=part, error=words_of(error))
            else:
                self._answered[part] = time.monotonic()
                on_heard(part)
            await asyncio.sleep(ASK_EVERY_S)

    async def _ask_nats(self) -> None:
        """The answer comes behind all messages that wait for this process, which are signs of life themselves."""
        try:
            await self._bus.ping()
        except nats.errors.TimeoutError as error:
            received = self._bus.client.stats["in_msgs"]
            if received > self._received:
                self._received = received
                raise BusyError from error
            raise

    async def _ask_postgres(self) -> None:
        """Without a limit of its own: a connection that is silent for ever is gone for the pool too."""
        try:
            async with self._pool.connection(timeout=SILENT_S) as connection:
                await connection.execute("SELECT 1")
        except psycopg_pool.PoolTimeout as error:
            used_ms = self._pool.get_stats()["usage_ms"]
            if used_ms > self._used_ms:
                # Others got their connections, and gave them back.
                self._used_ms = used_ms
                raise BusyError from error
            raise
