"""Tells the workers which runs were cancelled or have failed, so that they drop their work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

import nats.errors
import nats.js.errors
import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.kv import KeyValue

from services.coordinator.state import RunId
from services.coordinator.store.reconciling import load_ended_before
from shared.contracts import subjects
from shared.contracts.states import RunStatus
from shared.errors import words_of
from shared.logging import get_logger
from shared.postgres import Pool

log = get_logger(__name__)

#: Told at the same time.
BATCH = 500
#: What could not be told again is tried again after so long.
AGAIN_S = 1.0
PASSING = (nats.errors.Error, nats.js.errors.Error, psycopg.Error, TimeoutError)


class EndedRuns:
    """The bucket `ended_runs`: run id -> status, kept for a day. A bucket that is made anew is filled from Postgres:
    a worker that starts afterwards would begin work that waits of runs that have ended."""

    def __init__(self, client: Client, pool: Pool) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=5)
        self._pool = pool
        self._bucket: KeyValue | None = None
        #: When the bucket was made that holds all that ended before.
        self._filled: datetime | None = None
        self._may_be_new = asyncio.Event()

    async def put(self, ended: Iterable[tuple[RunId, RunStatus]]) -> bool:
        """False when the workers could not be told: they do work whose result changes nothing."""
        try:
            await self._put(ended)
        except PASSING as error:
            log.warning("could not tell the workers of ended runs", error=words_of(error))
            return False
        return True

    async def _put(self, ended: Iterable[tuple[RunId, RunStatus]]) -> None:
        if self._bucket is None:
            self._bucket = await self._jetstream.key_value(subjects.ENDED_RUNS_BUCKET)
        bucket = self._bucket
        await asyncio.gather(*(bucket.put(run_id, status.encode()) for run_id, status in ended))

    async def run(self) -> None:
        """For ever: fill the bucket whenever the server says that it was made."""
        await self._client.subscribe(subjects.ENDED_RUNS_MADE, cb=self._on_made)
        while True:
            self._may_be_new.clear()
            try:
                await self._fill()
            except PASSING as error:
                log.warning("the workers could not be told again of ended runs", error=words_of(error))
                await asyncio.sleep(AGAIN_S)
            else:
                await self._may_be_new.wait()

    async def restart(self) -> None:
        """The connection is a new one: what the server said meanwhile was not heard."""
        self._may_be_new.set()

    async def _on_made(self, _: Msg) -> None:
        self._may_be_new.set()

    async def _fill(self) -> None:
        made = (await self._jetstream.stream_info(subjects.ENDED_RUNS_STREAM)).created
        if made is None or made == self._filled:
            return
        async with self._pool.connection() as connection:
            ended = await load_ended_before(connection, made)
        for at in range(0, len(ended), BATCH):
            await self._put(ended[at : at + BATCH])
        if ended:
            log.warning("the bucket of ended runs was made anew; the workers were told again", count=len(ended))
        self._filled = made
