"""Takes run requests from the stream and acknowledges each when its run is committed."""

from __future__ import annotations

import asyncio

import orjson
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pydantic import ValidationError

from services.coordinator.requests import StartRequest, start_request
from services.coordinator.starter import Starter
from shared.bus.dead_letters import park
from shared.bus.pull import Pull, delivery_of
from shared.clock import id_of
from shared.contracts.runs import RunRequested
from shared.errors import ServiceError, UnavailableError, words_of

#: Stream requests taken at once.
REQUESTS = 200
#: A request that could not be started for a passing reason comes again after so long.
TRY_AGAIN_S = 2.0
#: One that met a fault of ours comes again so often; then it is parked.
MOST_FAULTS = 5


class RequestLoop:
    """One a coordinator; a refusal becomes a failed run, since nobody waits for an answer."""

    def __init__(self, pull: Pull, starter: Starter, jetstream: JetStreamContext) -> None:
        self._pull = pull
        self._starter = starter
        self._jetstream = jetstream
        self._answering: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        while messages := await self._pull.take(REQUESTS):
            for message in messages:
                task = asyncio.create_task(self._take(message))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
        if self._answering:
            await asyncio.wait(self._answering, timeout=10)

    async def _take(self, message: Msg) -> None:
        try:
            request = RunRequested.model_validate(orjson.loads(message.data))
        except (orjson.JSONDecodeError, ValidationError) as error:
            await park(self._jetstream, "run_request", message.subject, words_of(error), message.data)
            await message.ack()
        else:
            delivery = delivery_of(message)
            # The same each time it is delivered, so that it is one run.
            own_id = id_of(delivery.sent_at_ns, str(delivery.sequence))
            start = start_request(request, is_from_stream=True, own_id=own_id)
            await self._starter.put(start)
            await self._finish(message, start)
        finally:
            await self._pull.release([message])

    async def _finish(self, message: Msg, start: StartRequest) -> None:
        """A passing trouble sends the request back for a while; a refusal that starts nothing is parked."""
        try:
            await start.answer
        except UnavailableError:
            await message.nak(delay=TRY_AGAIN_S)
        except ServiceError as error:
            if error.problem.status >= ServiceError.status and delivery_of(message).times < MOST_FAULTS:
                await message.nak(delay=TRY_AGAIN_S)
                return
            await park(self._jetstream, "run_request", message.subject, error.problem.detail, message.data)
            await message.ack()
        else:
            await message.ack()
