"""Waits for runs to end: told by events, and reading the run itself when nothing is heard."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.arrivals import subscribe
from shared.bus.rpc import Rpc
from shared.contracts import subjects
from shared.contracts.runs import SILENCE_S, RunGet
from shared.contracts.states import RunStatus
from shared.errors import ServiceError
from shared.tasks import is_set_within

KINDS: tuple[subjects.RunEventKind, ...] = ("completed", "failed", "cancelled")


class Endings:
    """One subscription for all who wait."""

    def __init__(self, client: Client, rpc: Rpc) -> None:
        self._client = client
        self._rpc = rpc
        self._waiting: dict[str, set[Expected]] = defaultdict(set)

    async def start(self) -> None:
        for kind in KINDS:
            await subscribe(self._client, subjects.run_event(kind), self._on_event)

    def _on_event(self, message: Msg) -> None:
        event = orjson.loads(message.data)
        for expected in self._waiting.get(event["run_id"], ()):
            expected.hear(event.get("run"))

    def expect(self, run_id: str) -> Expected:
        """To be entered before the run is started, so that its end cannot be missed."""
        return Expected(self._rpc, run_id, self._waiting)


class Expected:
    """Somebody waits for this run."""

    def __init__(self, rpc: Rpc, run_id: str, waiting: dict[str, set[Expected]]) -> None:
        self._rpc = rpc
        self._run_id = run_id
        self._waiting = waiting
        self._ended = asyncio.Event()
        self._told: dict[str, Any] | None = None

    def __enter__(self) -> Expected:
        self._waiting[self._run_id].add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting[self._run_id].discard(self)
        if not self._waiting[self._run_id]:
            del self._waiting[self._run_id]

    def hear(self, run: dict[str, Any] | None) -> None:
        """It has ended; `run` is it, when the event brought it along."""
        self._told = run
        self._ended.set()

    async def wait(self, timeout_s: float) -> dict[str, Any] | None:
        """The run when it has ended in time, else None."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while (left_s := deadline - loop.time()) > 0:
            await is_set_within(self._ended, min(left_s, SILENCE_S))
            self._ended.clear()
            run = self._told or await self._read()
            if run is not None and RunStatus(run["status"]).is_final:
                return run
        return None

    async def _read(self) -> dict[str, Any] | None:
        try:
            run: dict[str, Any] = await self._rpc.call_raw(
                subjects.RUNS_GET, RunGet.model_validate({"run_id": self._run_id})
            )
        except ServiceError:
            return None
        return run
