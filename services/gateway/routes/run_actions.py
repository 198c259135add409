"""Routes of what people do to runs: start, end by hand, cancel, run again; and the audit of it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from services.gateway.access import caller_of, needs
from services.gateway.bodies import read_model
from services.gateway.openapi.answers import answers, body_of
from services.gateway.openapi.examples import CANCELLED, FAILED, STARTED
from services.gateway.wiring import Wired, answer, location
from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.api_keys import Scope
from shared.contracts.message import Document, OwnRunId
from shared.contracts.runs import AuditTrail, Run, RunAudit, RunCancel, RunRelease, RunRetry, RunSettle

router = APIRouter(prefix="/pipeline_runs/{run_id}", tags=["pipeline_runs"])


#: What is refused in another state.
NOT_NOW = ("transition_not_allowed",)


class CancelRun(Document):
    """Why, for the audit."""

    reason: str | None = Field(default=None, max_length=1000)


class SettleRun(Document):
    """Why, for the audit; of a failed run it is the error."""

    reason: str = Field(min_length=1, max_length=1000)


class RetryRun(Document):
    """What to run again: `failed` keeps what is done, `start` runs everything."""

    start_from: Literal["failed", "start"] = "failed"
    #: A UUIDv7 of your own for the new run; sending it again is the same run.
    run_id: OwnRunId | None = None


@router.post("/start", dependencies=[needs(Scope.RUNS_START)], responses=answers(Run, example=STARTED, refuses=NOT_NOW))
async def start_run(run_id: UUID, request: Request, wired: Wired) -> Response:
    """Start a run that was made with `hold`."""
    wanted = RunRelease(run_id=run_id, actor=caller_of(request))
    return answer(await wired.rpc.call_raw(subjects.RUNS_RELEASE, wanted))


@router.post(
    "/cancel",
    dependencies=[needs(Scope.RUNS_CANCEL)],
    responses=answers(Run, example=CANCELLED, refuses=[*NOT_NOW, "workers_not_told"]),
    openapi_extra=body_of(CancelRun, False, example=CancelRun(reason="asked for by mistake")),
)
async def cancel_run(run_id: UUID, request: Request, wired: Wired) -> Response:
    """Cancel a run: from the answer on, nothing of it is begun any more. To cancel it again is the same."""
    body = await read_model(request, CancelRun)
    wanted = RunCancel(run_id=run_id, reason=body.reason, actor=caller_of(request))
    return answer(await wired.rpc.call_raw(subjects.RUNS_CANCEL, wanted))


@router.post(
    "/complete",
    dependencies=[needs(Scope.RUNS_CANCEL)],
    responses=answers(Run, refuses=NOT_NOW),
    openapi_extra=body_of(SettleRun, example=SettleRun(reason="done elsewhere")),
)
async def complete_run(run_id: UUID, request: Request, wired: Wired) -> Response:
    """End a run by hand as completed: what is done is its output, nothing more is begun."""
    return await _settle(run_id, request, wired, "completed")


@router.post(
    "/fail",
    dependencies=[needs(Scope.RUNS_CANCEL)],
    responses=answers(Run, example=FAILED, refuses=NOT_NOW),
    openapi_extra=body_of(SettleRun, example=SettleRun(reason="the input was wrong")),
)
async def fail_run(run_id: UUID, request: Request, wired: Wired) -> Response:
    """End a run by hand as failed; the reason is its error."""
    return await _settle(run_id, request, wired, "failed")


async def _settle(run_id: UUID, request: Request, wired: Wired, status: Literal["completed", "failed"]) -> Response:
    body = await read_model(request, SettleRun)
    wanted = RunSettle(run_id=run_id, status=status, reason=body.reason, actor=caller_of(request))
    return answer(await wired.rpc.call_raw(subjects.RUNS_SETTLE, wanted))


@router.post(
    "/retry",
    status_code=202,
    dependencies=[needs(Scope.RUNS_START)],
    responses=answers(Run, 202, example=STARTED, refuses=[*NOT_NOW, "never_started"]),
    openapi_extra=body_of(RetryRun, False, example=RetryRun(start_from="start")),
)
async def retry_run(run_id: UUID, request: Request, wired: Wired) -> Response:
    """Run it again, as a new run of the same version with the same input."""
    body = await read_model(request, RetryRun)
    wanted = RunRetry(
        run_id=run_id, new_run_id=body.run_id or new_id(), start_from=body.start_from, actor=caller_of(request)
    )
    made = await wired.rpc.call_raw(subjects.RUNS_RETRY, wanted)
    return answer(made, 202, location("pipeline_runs", made["id"]))


@router.get("/audit", dependencies=[needs(Scope.RUNS_READ)], responses=answers(AuditTrail))
async def get_audit(run_id: UUID, wired: Wired) -> Response:
    """What people did to the run, with their reasons; oldest first."""
    return answer(await wired.rpc.call_raw(subjects.RUNS_AUDIT, RunAudit(run_id=run_id)))
