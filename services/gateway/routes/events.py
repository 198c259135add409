"""Routes of events: a run as it goes on, and all runs of a pipeline, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from services.gateway.access import needs
from services.gateway.keys import UnauthorizedError
from services.gateway.openapi.answers import Answers
from services.gateway.openapi.streams import MEDIA_TYPE, pipeline_stream, run_stream
from services.gateway.sse import RunStream, pipeline_events
from services.gateway.wiring import Wired, wiring_of
from shared.contracts import subjects
from shared.contracts.api_keys import Scope
from shared.contracts.pipelines import PipelineGet
from shared.contracts.runs import RunGet
from shared.contracts.states import RunStatus
from shared.errors import InvalidError, UnavailableError

router = APIRouter(tags=["events"])

READ = [needs(Scope.RUNS_READ)]
NO_MORE: Answers = {204: {"description": "The run has ended and all of it was told; do not connect again"}}

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
    if known is not None and known >= run["seq"] and RunStatus(run["status"]).is_final:
        return Response(status_code=204)
    stream = RunStream(wired.feed, wired.rpc, str(run_id), request.app.state.is_stopping)
    return _streaming(request, stream.events())


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
    return _streaming(request, pipeline_events(wired.jetstream, pipeline_id, after, request.app.state.is_stopping))


def _streaming(request: Request, events: AsyncIterator[bytes]) -> Response:
    events = _while_allowed(request, events)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type=MEDIA_TYPE, headers=headers)


async def _while_allowed(request: Request, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A stream ends soon after its key was revoked or has expired."""
    keys, authorization = wiring_of(request).keys, request.headers.get("authorization")
    loop = asyncio.get_running_loop()
    checked_at = loop.time()
    async for event in events:
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
    if not last_event_id.isascii() or not last_event_id.isdigit():
        raise InvalidError("invalid_event_id", "Last-Event-ID must be the id of an event that was told, a number.")
    return int(last_event_id)
