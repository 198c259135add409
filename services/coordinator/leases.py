"""Keeps the leases that workers ask for while they hold work."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pydantic import ValidationError

from services.coordinator.results import plausible
from services.coordinator.store.reconciling import extend_leases
from shared.bus.dead_letters import park
from shared.contracts.nodes import HeldAttempt, NodesRunning
from shared.errors import words_of
from shared.logging import get_logger
from shared.postgres import Pool

log = get_logger(__name__)

#: As many as Postgres can count.
MOST_ATTEMPTS = 2**31


class Leases:
    """Every few seconds workers say what they hold; all that came in meanwhile is one statement."""

    def __init__(self, pool: Pool, jetstream: JetStreamContext, lease_s: float) -> None:
        self._pool = pool
        self._jetstream = jetstream
        self._lease_s = lease_s
        self._beats: dict[tuple[str, str, int], dict[str, Any]] = {}
        self._arrived = asyncio.Event()

    async def on_running(self, message: Msg) -> None:
        try:
            running = NodesRunning.model_validate_json(message.data)
        except ValidationError as error:
            await park(self._jetstream, "node_running", message.subject, words_of(error), message.data)
            return
        node_type = message.subject.rsplit(".", 1)[1]
        for held in running.attempts:
            if _is_storable(held):
                beat = held.model_dump(mode="json") | {"node_type": node_type}
                self._beats[beat["run_id"], held.node_key, held.attempt] = beat
        self._arrived.set()

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            beats = list(self._beats.values())
            self._beats.clear()
            try:
                async with self._pool.connection() as connection:
                    await extend_leases(connection, beats, self._lease_s)
            except psycopg.Error as error:
                # The next beat comes in 3 s, long before a lease is over.
                log.warning("leases could not be extended", error=words_of(error))


def _is_storable(held: HeldAttempt) -> bool:
    """False for what nobody was given, and would keep Postgres from taking what others say."""
    is_known = "\x00" not in held.node_key and 0 < held.attempt < MOST_ATTEMPTS
    return is_known and plausible(held.started_at) is not None
