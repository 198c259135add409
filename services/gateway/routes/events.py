"""Routes of events: a run as it goes on, and all runs of a pipeline, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

import nats.errors
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from services.gateway.access import needs
from services.gateway.keys import Keys, UnauthorizedError
from services.gateway.openapi.answers import Answers
from services.gateway.openapi.streams import MEDIA_TYPE, pipeline_stream, run_stream
from services.gateway.sse import RunStream, pipeline_events
from services.gateway.wiring import Wired
from shared.contracts import subjects
from shared.contracts.api_keys import Scope
from shared.contracts.pipelines import PipelineGet
from shared.contracts.runs import RunGet
from shared.contracts.states import RunStatus
from shared.errors import InvalidError, UnavailableError

router = APIRouter(tags=["events"])

READ = [needs(Scope.RUNS_READ)]
NO_MORE: Answers = {204: {"description": "The run has ended and all of it was told; do not connect again"}}

#: No stream will ever come so far; NATS itself refuses numbers that are twice as high.
HIGHEST_ID = 2**63 - 1
#: How often the key of a stream is checked again.
CHECK_S = 5.0

LastEventId = Annotated[str | None, Header(max_length=20, description="The id that was told last")]


@router.get("/pipeline_runs/{run_id}/events", dependencies=READ, responses=run_stream() | NO_MORE)
async def run_events(run_id: UUID, request: Request, wired: Wired, last_event_id: LastEventId = None) -> Response:
    """A run as it goes on: `snapshot`, then `change` and `token`, and `end` with its output when it has ended.

    Whoever was cut off connects again: the snapshot tells what was missed.
    """
    known = _number(last_event_id)
    run = await wired.rpc.call_raw(subjects.RUNS_GET, RunGet(run_id=run_id))
    ended_at = run["seq"] if RunStatus(run["status"]).is_final and known is not None and known >= run["seq"] else None
    if ended_at is not None and known != ended_at:
        return Response(status_code=204)
    stream = RunStream(wired.feed, wired.rpc, str(run_id), request.app.state.is_stopping, ended_at)
    return await _streaming(request, wired.keys, stream.events())


@router.get("/events", dependencies=READ, responses=pipeline_stream())
async def all_events(
    request: Request,
    wired: Wired,
    pipeline: Annotated[str | None, Query(max_length=63, description="Slug or id; left out: all pipelines")] = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Every change of every run of a pipeline, from now on; after a cut all that was missed, for a day."""
    after, pipeline_id = _number(last_event_id), None
    if pipeline is not None:
        found: Any = await wired.rpc.call_raw(subjects.PIPELINES_GET, PipelineGet(pipeline=pipeline))
        pipeline_id = found["id"]
    events = pipeline_events(wired.jetstream, pipeline_id, after, request.app.state.is_stopping)
    return await _streaming(request, wired.keys, events)


async def _streaming(request: Request, keys: Keys, events: AsyncGenerator[bytes]) -> Response:
    """The answer begins when NATS has taken the subscription: trouble before that is told by the status."""
    try:
        first = await anext(events, b"")
    except (nats.errors.Error, TimeoutError) as error:
        raise UnavailableError(
            "service_unavailable", "Events cannot be heard now. Connect again in a few seconds.", retry_after_s=2.0
        ) from error
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_while_allowed(request, keys, first, events), media_type=MEDIA_TYPE, headers=headers)


async def _while_allowed(
    request: Request, keys: Keys, first: bytes, rest: AsyncGenerator[bytes]
) -> AsyncIterator[bytes]:
    """A stream ends soon after its key was revoked or has expired."""
    authorization = request.headers.get("authorization")
    loop = asyncio.get_running_loop()
    checked_at = loop.time()
    async with aclosing(rest):
        yield first
        async for event in rest:
            if loop.time() - checked_at > CHECK_S:
                try:
                    await keys.check(authorization)
                except UnauthorizedError:
                    return
                except UnavailableError:
                    pass
                checked_at = loop.time()
            yield event


def _number(last_event_id: str | None) -> int | None:
    if last_event_id is None or not last_event_id.strip():
        return None
    if not last_event_id.isascii() or not last_event_id.isdigit() or int(last_event_id) > HIGHEST_ID:
        raise InvalidError("invalid_event_id", "Last-Event-ID must be the id of an event that was told, a number.")
    return int(last_event_id)
