"""Notes when keys are used, and writes it beside the requests: many keys in one statement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import psycopg

from services.gateway import key_store
from shared.clock import Clock, SystemClock
from shared.logging import get_logger
from shared.postgres import Pool

log = get_logger(__name__)

#: A key's time is written at most this often.
WRITE_AGAIN_AFTER_S = 60.0
#: Whoever tries a new key sees soon that it was used.
LOOK_EVERY_S = 1.0


class LastUses:
    """Holds one time for each key that was used since its last writing; these are good keys alone, so they are few."""

    def __init__(self, pool: Pool, clock: Clock | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock or SystemClock()
        self._monotonic = monotonic
        self._used_at: dict[UUID, datetime] = {}
        self._written_at: dict[UUID, float] = {}

    def note(self, key_id: UUID) -> None:
        """This key is used now. Costs a line in memory."""
        self._used_at[key_id] = self._clock.now()

    async def run(self) -> None:
        """For ever. While Postgres is away, what was noted is kept."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.write()
            except psycopg.OperationalError as error:
                log.warning("last uses of keys could not be written", reason=type(error).__name__)

    async def write(self) -> None:
        """Write what is due: keys that were used, and not written within the last minute."""
        now = self._monotonic()
        for key_id in [key_id for key_id, at in self._written_at.items() if now - at >= WRITE_AGAIN_AFTER_S]:
            del self._written_at[key_id]
        due = {key_id: at for key_id, at in self._used_at.items() if key_id not in self._written_at}
        if not due:
            return
        async with self._pool.connection() as connection:
            await key_store.save_uses(connection, due)
        for key_id, at in due.items():
            self._written_at[key_id] = now
            # Used again meanwhile: to be written in a minute.
            if self._used_at[key_id] == at:
                del self._used_at[key_id]
