"""The load: runs of every shape, started in every way, some of them twice; what was acknowledged is written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from uuid import UUID

import httpx
import nats.errors
import nats.js.errors
import orjson
import psycopg

from shared.client import PipewrightClient
from shared.clock import new_id
from shared.contracts import subjects
from shared.errors import ServiceError
from tests.faults.poison import victim
from tests.faults.shapes import Shape, shapes
from tests.faults.system import System
from tests.stack import API_KEY

#: Through the stream, and without an id: nobody knows the run's before it is there.
PLAIN = "plain"
#: Runs; a machine that can carry the load has half as many at the most.
MOST_GOING_ON = 80
#: Waits of a client that was not answered.
AGAIN_S = 0.5
#: A client that was never answered gives up; nothing was promised to it.
GIVE_UP_S = 120.0


@dataclass
class Started:
    """A run that somebody asked for."""

    number: int
    shape: Shape
    run_id: UUID
    way: str
    #: When it was promised, by the monotonic clock; None when it never was.
    acknowledged_at: float | None = None
    #: When its cancel was asked for, and answered, by the monotonic clock.
    cancel_asked_at: float | None = None
    cancelled_at: float | None = None
    #: What it was answered, if that is what no service may answer.
    bad_answer: str | None = None
    #: Ids that other starts with the same idempotency key got.
    twins: list[UUID] = field(default_factory=list)


@dataclass
class Load:
    """Starts runs for as long as it is told."""

    system: System
    client: PipewrightClient
    http: httpx.AsyncClient
    random: Random
    shapes: list[Shape]
    started: list[Started] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._going_on = 0
        self._gateways = cycle([self.system.stack.gateway, *self.system.more_gateways])

    async def run(self, rate: float, is_over: Callable[[], bool]) -> None:
        """Nobody waits for anybody, as long as the machine can carry it. Returns when it is over and all are answered.

        Where it cannot, fewer begin: with too much going on, what stands still would only tell how long the queue is.
        """
        counting = asyncio.create_task(self._keep_counting())
        while not is_over():
            if self._going_on < MOST_GOING_ON:
                self._begin(len(self.started))
            await asyncio.sleep(1 / rate)
        counting.cancel()
        await asyncio.gather(*self._tasks)

    async def _keep_counting(self) -> None:
        """How many runs go on, as far as Postgres tells."""
        while True:
            with suppress(psycopg.Error, TimeoutError):
                async with asyncio.timeout(2):
                    [row] = await self.system.query(
                        "SELECT count(*) AS runs FROM runs.pipeline_runs WHERE finished_at IS NULL"
                    )
                    self._going_on = row["runs"]
            await asyncio.sleep(0.5)

    def _begin(self, number: int) -> None:
        [shape] = self.random.choices(self.shapes, [shape.weight for shape in self.shapes])
        way = self.random.choice(["rest", "rest twice", "reply", "stream", PLAIN])
        started = Started(number, shape, new_id(), way)
        self.started.append(started)
        part = self.random.uniform(0.02, 1)
        task = asyncio.create_task(self._noting_bad_answers(started, part))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _noting_bad_answers(self, started: Started, part: float) -> None:
        try:
            await self._drive(started, part)
        except BrokenPromiseError as error:
            started.bad_answer = str(error)

    async def _drive(self, started: Started, part: float) -> None:
        if started.way == PLAIN:
            is_answered = await self._plain(started)
        else:
            ways = {"rest": self._rest, "rest twice": self._rest, "reply": self._reply, "stream": self._stream}
            is_answered = await _until_answered(lambda: ways[started.way](started))
        if not is_answered:
            return
        started.acknowledged_at = time.monotonic()
        if started.way == "rest twice":
            first = started.run_id
            await _until_answered(lambda: self._rest(started))
            started.twins.append(started.run_id)
            started.run_id = first
        if started.shape.is_cancelled and started.way != PLAIN:
            await asyncio.sleep(part * started.shape.cancelled_within_s)
            await _until_answered(lambda: self._cancel(started))

    def _gateway(self) -> str:
        """One after another, as a load balancer does that has not heard yet which are dead."""
        return next(self._gateways)

    async def _rest(self, started: Started) -> None:
        answer = await self.http.post(
            f"{self._gateway()}/api/v3/pipelines/{started.shape.slug}/execute",
            json={"input": {"number": started.number}},
            headers={"idempotency-key": f"key-{started.number}"},
        )
        _check(answer)
        started.run_id = UUID(answer.json()["id"])

    async def _reply(self, started: Started) -> None:
        # When no coordinator answers, the client puts the request into the stream.
        async with self.system.stream_gate.passing():
            await self.client.run(started.shape.slug, {"number": started.number}, run_id=started.run_id)

    async def _stream(self, started: Started) -> None:
        async with self.system.stream_gate.passing():
            await self.client.request_run(started.shape.slug, {"number": started.number}, run_id=started.run_id)

    async def _plain(self, started: Started) -> bool:
        """Without an id, so that asking again would be another run: once, whatever becomes of it."""
        body = orjson.dumps({"pipeline": started.shape.slug, "input": {"number": started.number}})
        async with self.system.stream_gate.passing():
            try:
                await self.client.nats.jetstream().publish(subjects.RUN_REQUEST, body, stream=subjects.RUN_REQUESTS)
            except (nats.errors.Error, nats.js.errors.Error):
                return False
        return True

    async def _cancel(self, started: Started) -> None:
        started.cancel_asked_at = started.cancel_asked_at or time.monotonic()
        answer = await self.http.post(f"{self._gateway()}/api/v3/pipeline_runs/{started.run_id}/cancel")
        if answer.status_code != 409:
            _check(answer)
            started.cancelled_at = time.monotonic()


class NotAnsweredError(Exception):
    """The service said that it cannot answer now, in one of the ways in which it may."""


class BrokenPromiseError(Exception):
    """An answer that the service may never give."""


def _check(answer: httpx.Response) -> None:
    if answer.status_code in (429, 503):
        if "retry-after" not in answer.headers:
            raise BrokenPromiseError(f"{answer.status_code} without Retry-After: {answer.text}")
        raise NotAnsweredError
    if answer.status_code not in (200, 202):
        raise BrokenPromiseError(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")


async def _until_answered(ask: object) -> bool:
    """As a good client does: the same request again, until it is answered or too long has passed."""
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        try:
            await ask()  # type: ignore[operator]
        except (NotAnsweredError, ServiceError, httpx.TransportError):
            await asyncio.sleep(AGAIN_S)
        else:
            return True
    return False


@asynccontextmanager
async def loading(system: System, seed: int) -> AsyncIterator[Load]:
    """A load on this system, its pipelines applied."""
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with (
        PipewrightClient.connect(system.nats_url) as client,
        httpx.AsyncClient(headers=headers, timeout=30) as http,
    ):
        found = shapes(system.ledger.url)
        for document in (*(shape.document for shape in found), victim(system.ledger.url)):
            await client.apply(document)
        yield Load(system, client, http, Random(seed), found)
