"""Deletes runs that ended long ago, in every coordinator, one of them at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import psycopg

from services.coordinator.store.retention import delete_batch
from shared.errors import words_of
from shared.logging import get_logger
from shared.postgres import Pool

log = get_logger(__name__)

#: Runs grow old slowly.
LOOK_EVERY_S = 60.0
#: Between two batches: the database has other work.
PAUSE_S = 0.2


class Retention:
    """Keeps runs for so long after they ended; not for ever."""

    def __init__(self, pool: Pool, keep: timedelta) -> None:
        self._pool = pool
        self._keep = keep

    async def run(self) -> None:
        """For ever; an error is told and the next look tries again."""
        while True:
            try:
                await self.sweep()
            except psycopg.Error as error:
                log.warning("old runs could not be deleted", error=words_of(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def sweep(self) -> Counter[str]:
        """Delete batch after batch, until none is left or another coordinator is at it; returns rows by table."""
        total: Counter[str] = Counter()
        while True:
            async with self._pool.connection() as connection:
                deleted = await delete_batch(connection, self._keep)
            if not deleted or not deleted["pipeline_runs"]:
                return total
            total += deleted
            log.info("old runs were deleted", **deleted)
            await asyncio.sleep(PAUSE_S)
