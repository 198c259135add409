"""Tells the workers which runs were cancelled or have failed, so that they drop their work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from services.coordinator.state import RunId
from shared.contracts import subjects
from shared.contracts.states import RunStatus
from shared.logging import get_logger

log = get_logger(__name__)


class EndedRuns:
    """The bucket `ended_runs`: run id -> status, kept for a day."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream
        self._bucket: KeyValue | None = None

    async def put(self, ended: Iterable[tuple[RunId, RunStatus]]) -> bool:
        """False when the workers could not be told: they do work whose result changes nothing."""
        try:
            if self._bucket is None:
                self._bucket = await self._jetstream.key_value(subjects.ENDED_RUNS_BUCKET)
            bucket = self._bucket
            await asyncio.gather(*(bucket.put(run_id, status.encode()) for run_id, status in ended))
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
            log.warning("could not tell the workers of ended runs", error=str(error) or type(error).__name__)
            return False
        return True
