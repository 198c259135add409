"""How a run is asked for: by request and reply, and through the stream when no coordinator answers."""

from __future__ import annotations

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext

from shared.bus.publish import MESSAGE_ID
from shared.bus.rpc import Rpc
from shared.contracts import subjects
from shared.contracts.runs import RunRequested, RunStarted
from shared.contracts.states import RunStatus
from shared.errors import UnavailableError

#: A coordinator that has not answered by then is not there; the stream takes the request.
START_TIMEOUT_S = 2.0


async def start_run(rpc: Rpc, jetstream: JetStreamContext, request: RunRequested) -> RunStarted:
    """Committed when a coordinator answers, else `pending` in the stream: the same run by its id.

    With an idempotency key there is no way round: only Postgres knows whether the key has a run already, so
    UnavailableError is raised, and the same request again is safe.
    """
    assert request.run_id is not None
    try:
        return await rpc.call(subjects.RUNS_START, request, RunStarted, START_TIMEOUT_S)
    except UnavailableError:
        if request.idempotency_key is not None:
            raise
    return await publish_run_request(jetstream, request)


async def publish_run_request(jetstream: JetStreamContext, request: RunRequested) -> RunStarted:
    """Through the stream: it runs, whoever is away now. Raises UnavailableError when the stream does not take it."""
    assert request.run_id is not None
    try:
        await jetstream.publish(
            subjects.RUN_REQUEST,
            request.model_dump_json(exclude_none=True).encode(),
            stream=subjects.RUN_REQUESTS,
            headers={MESSAGE_ID: str(request.run_id)},
        )
    except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
        raise UnavailableError(
            "not_started",
            "The run could not be taken now. Send it again in a few seconds.",
            retry_after_s=2.0,
        ) from error
    return RunStarted(run_id=request.run_id, status=RunStatus.PENDING)
