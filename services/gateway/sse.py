"""Server-sent events (html.spec.whatwg.org, section 9.2) of runs: a snapshot, then every change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import nats.errors
import orjson
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

from services.gateway.feed import Feed, Heard
from shared.bus.rpc import Rpc
from shared.contracts import subjects
from shared.contracts.runs import SILENCE_S, RunGet
from shared.contracts.states import RunStatus
from shared.errors import UnavailableError

#: A comment keeps proxies from closing a silent stream.
KEEP_ALIVE_S = 15.0
#: How often a stream looks whether the gateway is about to end.
LOOK_S = 1.0
#: An event names no more changes; who gets so many reads the run.
MOST_CHANGES = 1000

IsStopping = Callable[[], bool]


def message(event: str, data: Any, event_id: int | None = None) -> bytes:
    """One event; without an id it is not one to resume after."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {event}\n".encode() + b"data: " + orjson.dumps(data) + b"\n\n"


KEEP_ALIVE = b": keep-alive\n\n"


class RunStream:
    """One listener of one run: `snapshot`, then `change` and `token` as they come, and `end` with the finished run.

    The id of snapshots and changes is the run's `seq`, and rises; `end` has the next one, so that whoever was cut off
    before it is told of it. On a gap the snapshot comes again.
    """

    def __init__(self, feed: Feed, rpc: Rpc, run_id: str, is_stopping: IsStopping, ended_at: int | None = None) -> None:
        """`ended_at` is the last `seq` of a run that has ended, of which all but the end is known already."""
        self._feed = feed
        self._rpc = rpc
        self._run_id = run_id
        self._is_stopping = is_stopping
        self._seq = -1 if ended_at is None else ended_at
        self._is_over = ended_at is not None
        self._silent_s = 0.0

    async def events(self) -> AsyncGenerator[bytes]:
        """Until the run has ended, or the gateway is about to."""
        async with self._feed.listen(self._run_id) as heard:
            yield await self._snapshot()
            while not self._is_over and not self._is_stopping():
                yield await self._next(heard)
        while not self._is_stopping():
            ended = await self._read(is_whole=False)
            if ended is not None:
                yield message("end", ended, self._seq + 1)
                return
            await asyncio.sleep(LOOK_S)
            yield b""

    async def _next(self, heard: Heard) -> bytes:
        """What is heard, or what silence calls for; nothing for what is known already."""
        try:
            async with asyncio.timeout(LOOK_S):
                kind, body = await heard.get()
        except TimeoutError:
            return await self._in_silence()
        self._silent_s = 0.0
        if kind == "token":
            return message("token", body)
        if body["seq"] > self._seq + 1 or len(body["changes"]) >= MOST_CHANGES:
            return await self._snapshot()
        if body["seq"] <= self._seq:
            return b""
        self._note(body)
        return message("change", body, self._seq)

    async def _in_silence(self) -> bytes:
        self._silent_s += LOOK_S
        if self._silent_s % SILENCE_S == 0:
            run = await self._read(is_whole=False)
            if run is not None and run["seq"] > self._seq:
                return await self._snapshot()
        return KEEP_ALIVE if self._silent_s % KEEP_ALIVE_S == 0 else b""

    async def _snapshot(self) -> bytes:
        """The run as it is; nothing while it cannot be read, or when it has not changed."""
        run = await self._read(is_whole=True)
        if run is None or run["seq"] <= self._seq:
            return b""
        self._note(run)
        run["node_results"] = [
            {name: node[name] for name in ("node_key", "node_type", "status", "error", "started_at", "finished_at")}
            for node in run["node_results"] or []
        ]
        return message("snapshot", run, self._seq)

    def _note(self, told: dict[str, Any]) -> None:
        self._seq = told["seq"]
        self._is_over = RunStatus(told["status"]).is_final

    async def _read(self, *, is_whole: bool) -> dict[str, Any] | None:
        """None while no coordinator answers; the stream goes on."""
        wanted = RunGet.model_validate({"run_id": self._run_id, "include_node_results": is_whole})
        try:
            found: dict[str, Any] = await self._rpc.call_raw(subjects.RUNS_GET, wanted, 30.0)
        except UnavailableError:
            return None
        return found


async def pipeline_events(
    jetstream: JetStreamContext, pipeline_id: str | None, after: int | None, is_stopping: IsStopping
) -> AsyncGenerator[bytes]:
    """Every event of all runs, or of those of one pipeline: from now on, or all after an id that was told before.

    The id is the place in the stream RUN_EVENTS, which keeps a day.
    """
    config = ConsumerConfig(deliver_policy=DeliverPolicy.NEW)
    if after is not None:
        config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after + 1)
    subscription = await jetstream.subscribe(subjects.ALL_RUN_EVENTS, ordered_consumer=True, config=config)
    silent_s = 0.0
    try:
        yield KEEP_ALIVE
        while not is_stopping():
            try:
                found = await subscription.next_msg(timeout=LOOK_S)
            except TimeoutError:
                silent_s += LOOK_S
                yield KEEP_ALIVE if silent_s % KEEP_ALIVE_S == 0 else b""
                continue
            event = orjson.loads(found.data)
            if pipeline_id is None or event["pipeline_id"] == pipeline_id:
                silent_s = 0.0
                yield message(found.subject.rsplit(".", 1)[1], event, found.metadata.sequence.stream)
    finally:
        with suppress(nats.errors.Error):
            await subscription.unsubscribe()
