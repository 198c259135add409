"""The loop of one node type: take as much work as there are slots, run it, send the results."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from logging import DEBUG
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pydantic import ValidationError

from services.executors.kit.attempt import Attempts, Identity, Prepared
from services.executors.kit.beats import BEAT_S, Beats, Held
from services.executors.kit.ended_runs import EndedRuns
from services.executors.kit.errors import NodeError
from services.executors.kit.metrics import SLOTS, SLOTS_USED
from services.executors.kit.node_type import NodeType
from services.executors.kit.outcomes import Outcome, failed, internal_error, timed_out, unreadable, worker_died
from services.executors.kit.result_publisher import Finished, ResultPublisher
from shared.bus.dead_letters import park
from shared.bus.publish import Publisher
from shared.bus.pull import Pull, delivery_of
from shared.bus.transfers import GET_LIMIT_S
from shared.clock import Clock
from shared.contracts import subjects
from shared.contracts.nodes import NodeReady
from shared.errors import words_of
from shared.logging import get_logger
from shared.tasks import Tasks, watched

log = get_logger(__name__)

#: Work that was delivered more often is not begun again: it may have ended every worker that took it.
MOST_DELIVERIES = 5
#: Fast work that is run before its results are handed over: a quarter of a run's window, so that the rest is at work
#: while the coordinator settles it. Keeps other types of the process, and beats, going.
FAST_BATCH = 64
FAST_TURN_S = 0.1
#: Fast work that does not end for so long never will: what waits behind it is for other workers.
FAST_LIMIT_S = 60.0
#: Work that has not ended so long after its timeout never will.
GRACE_S = 5.0
#: How long a stopping worker lets work end by itself; the rest is handed back.
STOP_S = 10.0


class Worker:
    """Serves one node type. FastStream's own loop either prefetches or waits for the slowest of a batch."""

    def __init__(
        self,
        client: Client,
        jetstream: JetStreamContext,
        publisher: Publisher,
        node_type: NodeType,
        slots: int,
        name: str,
        attempts: Attempts,
        ended_runs: EndedRuns,
        clock: Clock,
        announce: Callable[[], Awaitable[None]],
    ) -> None:
        """`announce` makes the type known again, so that whoever made its consumer makes it anew."""
        self._jetstream = jetstream
        self._type = node_type
        self._attempts = attempts
        self._ended_runs = ended_runs
        self._clock = clock
        self._turn_began: float | None = None
        self.pull = Pull(client, subjects.NODE_WORK, node_type.name, slots, announce)
        self._beats = Beats(client, node_type.name, name, self._delivered, self._give_up)
        self._results = ResultPublisher(publisher, self.pull, node_type.name, name, self._beats.remove)
        ended_runs.on_end(self._drop)
        SLOTS.labels(node_type.name).set(slots)
        SLOTS_USED.labels(node_type.name).set_function(lambda: len(self._beats))

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set; then work that goes on may end, and the rest is handed back."""
        async with Tasks([self._results.late_acks.run(), self._beats.run()]):
            await self.pull.start()
            loop = watched(self._loop())
            await stopping.wait()
            await self.pull.stop()
            await loop
            await self._finish_held()
            await self._results.drain()

    async def _loop(self) -> None:
        rest: list[Msg] = []
        while messages := rest or await self.pull.take(FAST_BATCH):
            rest = []
            if not self._ended_runs.is_current and not await self._hold_back(messages):
                continue
            rest = await self._take_some(messages)
            # Fast work never waits: its results leave now, and the loops beside this one have their turn.
            await asyncio.sleep(0)

    async def _take_some(self, messages: list[Msg]) -> list[Msg]:
        """As many as there is time for in a turn; returns the rest."""
        clock, is_told = asyncio.get_running_loop().time, log.isEnabledFor(DEBUG)
        self._turn_began = began = clock()
        finished: list[Finished] = []
        count = 0
        while count < len(messages) and clock() - began < FAST_TURN_S:
            if (done := await self._take(messages[count], is_told)) is not None:
                finished.append(done)
            count += 1
        self._turn_began = None
        if finished:
            self._results.put(finished)
        return messages[count:]

    def _delivered(self) -> list[Msg]:
        """All that nobody else is to be given; what waits for a turn without end is not among it."""
        if self._turn_began is not None and asyncio.get_running_loop().time() - self._turn_began > FAST_LIMIT_S:
            return [held.message for held in self._beats.all()]
        return [*self.pull.unsettled(), *self._results.late_acks.waiting()]

    async def _hold_back(self, messages: list[Msg]) -> bool:
        """Begin nothing until it is known which runs have ended; False when the worker stops meanwhile."""
        log.info("work waits until the ended runs are known again", node_type=self._type.name, count=len(messages))
        while not await self._ended_runs.catch_up(BEAT_S):
            if self.pull.is_stopping:
                for message in messages:
                    await self._hand_back(message)
                return False
        return True

    async def _take(self, message: Msg, is_told: bool) -> Finished | None:
        """Run fast work on the spot; begin a task for all other. None while the work goes on."""
        try:
            ready = NodeReady.model_validate_json(message.data)
        except ValidationError as error:
            return await self._refuse(message, words_of(error))
        if ready.run_id in self._ended_runs:
            return Finished(message, None)
        if is_told:
            log.debug("work was taken", run_id=ready.run_id, node_key=ready.node_key, attempt=ready.attempt)
        delivery = delivery_of(message)
        self._attempts.metrics.taken(delivery)
        if delivery.times > MOST_DELIVERIES:
            return Finished(message, self._result(ready, worker_died(delivery.times)))
        if ready.inputs is not None and self._type.is_fast:
            try:
                prepared = await self._attempts.prepare(ready)
            except NodeError as error:
                return Finished(message, self._result(ready, failed(error)))
            if not prepared.config.needs_child:
                return Finished(message, await self._attempts.run_fast(prepared))
        self._begin(message, ready)
        return None

    async def _refuse(self, message: Msg, reason: str) -> Finished:
        """Work that cannot be read fails, if it can be told whose it is: nobody would hear of it otherwise, and the
        reconciler would send it again for ever."""
        await park(self._jetstream, "node_ready", message.subject, reason, message.data)
        try:
            identity = Identity.model_validate(orjson.loads(message.data))
        except (orjson.JSONDecodeError, ValidationError):
            return Finished(message, None)
        return Finished(message, self._result(identity, unreadable(reason)))

    def _result(self, ready: NodeReady | Identity, outcome: Outcome) -> bytes:
        return self._attempts.result(ready, outcome, self._clock.now(), {})

    def _begin(self, message: Msg, ready: NodeReady) -> None:
        # Inputs are fetched before the node's own time begins.
        most_s = ready.timeout_s + GRACE_S + (GET_LIMIT_S if ready.inputs_ref is not None else 0.0)
        held = Held(message, ready, self._clock.now(), asyncio.get_running_loop().time() + most_s)
        self._beats.add(held)
        held.task = asyncio.create_task(self._work(held))
        held.task.add_done_callback(partial(self._end_unbegun, held))

    def _end_unbegun(self, held: Held, task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step does not run a line of what it was made for."""
        if task.cancelled() and held.ready.run_id in self._ended_runs:
            self._finish(held, None)

    async def _work(self, held: Held) -> None:
        body: bytes | None = None
        try:
            prepared = await self._prepare(held.ready)
            body = prepared if isinstance(prepared, bytes) else await self._attempts.run(prepared, self._may_begin)
        except asyncio.CancelledError:
            if held.ready.run_id not in self._ended_runs and not held.is_done:
                # Stopping: another worker has it at once.
                self._beats.remove(held)
                await self._hand_back(held.message)
                return
        except Exception:
            log.exception("work could not be done", **_ids(held.ready))
            body = self._result(held.ready, internal_error(self._type.name))
        self._finish(held, body)

    async def _may_begin(self, run_id: str) -> bool:
        while not self._ended_runs.is_current:
            await self._ended_runs.catch_up(BEAT_S)
        return run_id not in self._ended_runs

    def _finish(self, held: Held, body: bytes | None) -> None:
        """It is held until its result is kept: without beats others would do it again, or end it as worker_died."""
        if not held.is_done:
            held.is_done = True
            self._results.put([Finished(held.message, body, held)])

    def _give_up(self, held: Held) -> None:
        """It hangs: its run, its slot and its lease wait for it no longer."""
        log.error("work heeded neither its timeout nor its cancellation and was given up", **_ids(held.ready))
        is_wanted = held.ready.run_id not in self._ended_runs
        self._finish(held, self._result(held.ready, timed_out(held.ready.timeout_s)) if is_wanted else None)
        if held.task is not None:
            held.task.cancel()

    async def _hand_back(self, message: Msg) -> None:
        with suppress(nats.errors.Error):
            await message.nak()
        await self.pull.release([message])

    async def _prepare(self, ready: NodeReady) -> Prepared | bytes:
        try:
            return await self._attempts.prepare(ready)
        except NodeError as error:
            return self._result(ready, failed(error))

    def _drop(self, run_id: str) -> None:
        for held in self._beats.of_run(run_id):
            if held.task is not None:
                held.task.cancel()

    async def _finish_held(self) -> None:
        tasks = self._tasks()
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=STOP_S)
            for task in unfinished:
                task.cancel()
            if unfinished:
                await asyncio.wait(unfinished, timeout=2)

    def _tasks(self) -> Sequence[asyncio.Task[None]]:
        return [held.task for held in self._beats.all() if held.task is not None]


def _ids(ready: NodeReady) -> dict[str, Any]:
    return {"run_id": ready.run_id, "node_key": ready.node_key, "attempt": ready.attempt, "node_type": ready.node_type}


def encode_tokens(ready: NodeReady, index: int, text: str) -> bytes:
    """A NodeTokens message."""
    return orjson.dumps(
        {
            "run_id": ready.run_id,
            "node_key": ready.node_key,
            "attempt": ready.attempt,
            "index": index,
            "text": text,
        }
    )
