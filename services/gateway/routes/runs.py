"""Routes of runs: start, read, list and cancel."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import AwareDatetime, Field

from services.gateway.access import needs
from services.gateway.bodies import read_model
from services.gateway.openapi.answers import answers, body_of
from services.gateway.openapi.examples import STARTED, WHOLE_RUN
from services.gateway.routes.paging import AfterId, Limit, SortByTime
from services.gateway.wiring import Wired, Wiring, answer, location
from shared.bus.run_requests import START_TIMEOUT_S, start_run
from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.api_keys import Scope
from shared.contracts.message import Document, JsonObject, OwnRunId
from shared.contracts.pipelines import PipelineGet
from shared.contracts.runs import Run, RunGet, RunList, RunPage, RunRequested, RunStarted
from shared.contracts.states import RunStatus
from shared.errors import InvalidError, UnavailableError
from shared.tracing import current_traceparent, valid_traceparent

router = APIRouter(tags=["pipeline_runs"])

LONGEST_WAIT_S = 60.0


class Execute(Document):
    """What to run a pipeline with."""

    input: JsonObject = Field(default_factory=dict)
    #: A UUIDv7 of your own; sending it again is the same run.
    run_id: OwnRunId | None = None
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=255)
    #: True: the run waits as `pending` until it is started.
    hold: bool = False


#: Why a run may not start.
REFUSES = (
    "pipeline_not_published",
    "pipeline_archived",
    "another_body",
    "invalid_input",
    "invalid_schema",
    "unstorable_input",
    "input_too_large",
    "overloaded",
    "not_started",
)


@router.post(
    "/pipelines/{pipeline}/execute",
    dependencies=[needs(Scope.RUNS_START)],
    status_code=202,
    responses=answers(Run, 202, example=STARTED, refuses=REFUSES) | answers(Run, 200),
    openapi_extra=body_of(Execute, example=Execute(input={"url": "https://example.org"})),
)
async def execute_pipeline(
    pipeline: str,
    request: Request,
    wired: Wired,
    wait: Annotated[
        float | None, Query(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait for the run's end")
    ] = None,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
    traceparent: Annotated[str | None, Header(description="W3C Trace Context: the run belongs to this trace")] = None,
) -> Response:
    """Start a run: 202 with the run, or, when it ends within `wait` seconds, 200 with the finished run."""
    body = await read_model(request, Execute)
    wanted = RunRequested(
        pipeline=pipeline,
        input=body.input,
        run_id=body.run_id or new_id(),
        idempotency_key=idempotency_key or body.idempotency_key,
        hold=body.hold,
        is_awaited=bool(wait),
        traceparent=current_traceparent() or valid_traceparent(traceparent),
    )
    with wired.endings.expect(str(wanted.run_id)) as expected:
        started = await start_run(wired.rpc, wired.jetstream, wanted)
        may_end = started.run_id == wanted.run_id and not started.status.is_final
        if wait and may_end and not body.hold and (run := await expected.wait(wait)) is not None:
            return answer(run)
    return await _accepted(wired, started, wait)


async def _accepted(wired: Wiring, started: RunStarted, wait: float | None) -> Response:
    """The run as it is; one found by its idempotency key may have ended long ago."""
    place = location("pipeline_runs", started.run_id)
    try:
        run: Any = await wired.rpc.call_raw(subjects.RUNS_GET, RunGet(run_id=started.run_id), START_TIMEOUT_S)
    except UnavailableError:
        return answer({"id": started.run_id, "status": started.status}, 202, place)
    is_over = wait and RunStatus(run["status"]).is_final
    return answer(run, 200 if is_over else 202, place)


@router.get("/pipeline_runs", dependencies=[needs(Scope.RUNS_READ)], responses=answers(RunPage))
async def list_runs(
    wired: Wired,
    limit: Limit = 50,
    after: AfterId = None,
    status: RunStatus | None = None,
    pipeline: Annotated[str | None, Query(max_length=63, description="Slug or id")] = None,
    pipeline_id: UUID | None = None,
    created_after: Annotated[AwareDatetime | None, Query(description="Time with its zone, itself included")] = None,
    sort: SortByTime = "-created_at",
    created_before: Annotated[AwareDatetime | None, Query(description="Time with its zone, itself included")] = None,
) -> Response:
    """Runs, newest first, without their outputs."""
    if pipeline is not None:
        if pipeline_id is not None:
            raise InvalidError("invalid_request", "'pipeline' and 'pipeline_id' are the same filter. Send one of them.")
        pipeline_id = await _id_of(wired, pipeline)
    wanted = RunList(
        limit=limit,
        after=after,
        status=status,
        pipeline_id=pipeline_id,
        created_after=created_after,
        created_before=created_before,
        sort=sort,
    )
    return answer(await wired.rpc.call_raw(subjects.RUNS_LIST, wanted))


async def _id_of(wired: Wiring, pipeline: str) -> UUID:
    """An id is taken as it is: a pipeline that was deleted has runs all the same."""
    try:
        return UUID(pipeline)
    except ValueError:
        found: Any = await wired.rpc.call_raw(subjects.PIPELINES_GET, PipelineGet(pipeline=pipeline))
        return UUID(found["id"])


@router.get("/pipeline_runs/{run_id}", dependencies=[needs(Scope.RUNS_READ)], responses=answers(Run, example=WHOLE_RUN))
async def get_run(
    run_id: UUID,
    wired: Wired,
    include: Annotated[str | None, Query(pattern="^node_results$")] = None,
) -> Response:
    """A run; with `include=node_results` also how each of its nodes went."""
    wanted = RunGet(run_id=run_id, include_node_results=include is not None)
    found = await wired.rpc.call_raw(subjects.RUNS_GET, wanted, 30.0)
    if include is None:
        found.pop("node_results", None)
    return answer(found)
