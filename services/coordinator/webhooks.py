"""Delivers the ends of runs: sends what is due to the http workers, and stores what became of it.

The deliveries were made in the transactions that ended the runs, and Postgres alone says what is due; so every
coordinator may do this, and one that dies takes no delivery with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

import nats.errors
import nats.js.errors
import orjson
import psycopg

from services.coordinator.delivering import AttemptEnd, after, attempt_end
from services.coordinator.settler import PASSING, RETRY_DELAY_S, Settler
from services.coordinator.signatures import sign
from services.coordinator.state import Outcome
from services.coordinator.store import delivering as store
from services.coordinator.store.delivering import AttemptRef
from services.coordinator.stream_ages import MARGIN, StreamAges
from services.coordinator.tokens import Tokens
from services.coordinator.versions import Versions
from services.coordinator.webhook_bodies import end_body
from shared.bus.publish import Outgoing, Publisher
from shared.contracts import subjects
from shared.errors import ServiceError, words_of
from shared.logging import get_logger
from shared.postgres import Connection, Pool
from shared.tasks import is_set_within

log = get_logger(__name__)

#: Deliveries that are sent at once.
BATCH = 100
#: The shortest time between two looks, however many runs end.
SHORTEST_WAIT_S = 0.05
#: What the stream did not take is tried again after so long.
PUT_BACK_S = 5.0
#: Whether a result is on its way is known some seconds after the message was seen to be gone.
LOOK_AGAIN_S = MARGIN.total_seconds() + 1.0
#: For the worker, with some time to spare beyond its own limit for the exchange.
TIMEOUT_S = 30.0
#: Constant, so that nothing of a run is ever read as a template; the values travel as inputs.
CONFIG = {name: f"{{{{ input.{name} }}}}" for name in ("url", "id", "timestamp", "signature", "body")}
UNHEARD = "The worker that had it was not heard of any more."


class Webhooks:
    """Sends the deliveries that are due, for ever, and hears how they went."""

    def __init__(
        self,
        pool: Pool,
        versions: Versions,
        settler: Settler,
        publisher: Publisher,
        tokens: Tokens,
        ages: StreamAges,
        lease_s: float,
        sweep_s: float,
        random: Random,
    ) -> None:
        self._pool = pool
        self._versions = versions
        self._publisher = publisher
        self._tokens = tokens
        self._ages = ages
        self._lease_s = lease_s
        self._sweep_s = sweep_s
        self._random = random
        #: Set when something may be due.
        self._wake = settler.deliveries_made

    def look_now(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """At once when a run with deliveries ends here, when the next attempt is due, and at every sweep."""
        while True:
            wait_s: float | None = None
            try:
                wait_s = await self._look()
            except (psycopg.Error, nats.errors.Error, nats.js.errors.Error, ServiceError, TimeoutError) as error:
                log.warning("webhooks could not be looked after", error=words_of(error))
            await asyncio.sleep(SHORTEST_WAIT_S)
            limit_s = min(self._sweep_s, max(0.0, wait_s)) if wait_s is not None else self._sweep_s
            await is_set_within(self._wake, limit_s)
            self._wake.clear()

    async def _look(self) -> float | None:
        """Send what is due; returns the seconds until there is more."""
        wait_s = await self._seconds_to_next()
        if wait_s is None or wait_s > 0:
            return wait_s
        async with self._pool.connection() as connection:
            due = await store.take_due(connection, self._lease_s, BATCH)
            messages = {(row["id"], row["attempt"]): await self._message(connection, row) for row in due}
        await self._publish(messages)
        await self._find_unheard()
        return await self._seconds_to_next()

    async def _seconds_to_next(self) -> float | None:
        async with self._pool.connection() as connection:
            return await store.seconds_to_next(connection)

    async def _message(self, connection: Connection, row: Mapping[str, Any]) -> Outgoing:
        """Signed now, so that its time is near that of its arrival and its secret stays here."""
        name, attempt = row["id"], row["attempt"]
        body = await end_body(connection, self._versions, row["run_id"])
        timestamp = int(row["sent_at"].timestamp())
        values = {
            "url": row["url"],
            "id": name,
            "timestamp": str(timestamp),
            "signature": sign(row["secret"], name, timestamp, body),
            "body": body,
        }
        ready = {
            # Not the run's: a worker drops the work of runs that have ended.
            "run_id": name,
            "node_key": subjects.WEBHOOK,
            "node_type": subjects.WEBHOOK,
            "attempt": attempt,
            "dispatch": 1,
            "token": self._tokens.make(name, subjects.WEBHOOK, attempt),
            "config": CONFIG,
            "inputs": {"input": values},
            "run_started_at": row["sent_at"],
            "timeout_s": TIMEOUT_S,
        }
        subject = subjects.node_ready(subjects.WEBHOOK)
        return Outgoing(subject, orjson.dumps(ready), f"{name}:{subjects.WEBHOOK}:{attempt}:1")

    async def _publish(self, messages: Mapping[AttemptRef, Outgoing]) -> None:
        missing = {message.message_id for message in await self._publisher.publish([*messages.values()])}
        unsent = [attempt for attempt, message in messages.items() if message.message_id in missing]
        if unsent:
            async with self._pool.connection() as connection:
                await store.put_back(connection, unsent, PUT_BACK_S)

    async def _find_unheard(self) -> None:
        """Attempts that are over their time: waited for while their message or their result may be in a stream,
        else failed."""
        async with self._pool.connection() as connection:
            unheard = await store.load_unheard(connection)
        if not unheard:
            return
        ages = await self._ages.look(subjects.WEBHOOK)
        waiting, unsure, gone = [], [], []
        for name, attempt, sent_at in unheard:
            if ages.is_waiting(sent_at):
                waiting.append((name, attempt))
            elif ages.is_gone((name, subjects.WEBHOOK), sent_at):
                gone.append((name, attempt))
            else:
                unsure.append((name, attempt))
        async with self._pool.connection() as connection:
            for attempts, delay_s in ((waiting, self._lease_s), (unsure, LOOK_AGAIN_S)):
                if attempts:
                    await store.look_later(connection, attempts, delay_s)
        if gone:
            await self._end((attempt, AttemptEnd(False, error=UNHEARD)) for attempt in gone)

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Commit what workers said, however long Postgres is away; an attempt that is over already changes nothing."""
        ends = [((outcome.run_id, outcome.attempt), attempt_end(outcome)) for outcome in outcomes]
        while True:
            try:
                return await self._end(ends)
            except PASSING as error:
                log.warning("Postgres did not take deliveries; trying again", error=words_of(error))
                await asyncio.sleep(RETRY_DELAY_S)

    async def _end(self, ends: Iterable[tuple[AttemptRef, AttemptEnd]]) -> None:
        by_attempt = dict(ends)
        async with self._pool.connection() as connection, connection.transaction():
            failures = await store.lock_out(connection, by_attempt)
            rows = [self._row(attempt, by_attempt[attempt], failed) for attempt, failed in failures.items()]
            if rows:
                await store.save_ends(connection, rows)
        for row in rows:
            if row["status"] == "failed":
                log.warning("a webhook could not be delivered", delivery_id=row["id"], http_status=row["http_status"])

    def _row(self, attempt: AttemptRef, end: AttemptEnd, failures: int) -> dict[str, Any]:
        what = after(end, failures, self._random)
        return {
            "id": attempt[0],
            "status": what.status,
            "delay_s": what.delay_s,
            "failures": failures if end.is_delivered else failures + 1,
            "http_status": end.http_status,
            "error": end.error,
            "is_gone": end.is_gone,
        }
