"""Whether a service can do its work now, told within seconds and without waiting for what is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import nats.errors
import psycopg
import psycopg_pool

from shared.bus.connection import Bus
from shared.logging import get_logger
from shared.postgres import Pool

log = get_logger(__name__)

#: How often each part is asked.
ASK_EVERY_S = 1.0
#: A part that has not answered for so long is away.
SILENT_S = 4.0

Ask = Callable[[], Awaitable[None]]


class Readiness:
    """Asks NATS, and Postgres where there is one, in loops of their own; `problems` only looks at the clock."""

    def __init__(self, bus: Bus, pool: Pool | None = None) -> None:
        self._bus = bus
        self._asks: dict[str, Ask] = {"NATS": self._ask_nats}
        if pool is not None:
            self._pool = pool
            self._asks["Postgres"] = self._ask_postgres
        self._answered: dict[str, float] = {}

    def problems(self) -> list[str]:
        """What is away, in words; empty when the service is ready."""
        now = time.monotonic()
        silent = [f"{part} does not answer" for part in self._asks if now - self._answered.get(part, -1e9) > SILENT_S]
        return silent + [f"{part} is missing" for part, is_there in self._bus.parts.items() if not is_there()]

    async def run(self) -> None:
        """For ever. A part that hangs keeps nobody but its own loop."""
        await asyncio.gather(*(self._keep_asking(part, ask) for part, ask in self._asks.items()))

    async def _keep_asking(self, part: str, ask: Ask) -> None:
        while True:
            try:
                await ask()
            except (nats.errors.Error, psycopg.Error, psycopg_pool.PoolTimeout, OSError, TimeoutError) as error:
                log.debug("a part did not answer", part=part, error=str(error))
            else:
                self._answered[part] = time.monotonic()
            await asyncio.sleep(ASK_EVERY_S)

    async def _ask_nats(self) -> None:
        await self._bus.ping()

    async def _ask_postgres(self) -> None:
        async with self._pool.connection(timeout=SILENT_S) as connection:
            await connection.execute("SELECT 1")
