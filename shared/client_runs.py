"""The client's methods of runs and node results: one a subject."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.client_calls import READ_TIMEOUT_S, Calls
from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.message import JsonObject
from shared.contracts.runs import (
    AuditTrail,
    NodeResultGet,
    NodeResultPage,
    NodeResultsList,
    NodeResultView,
    Run,
    RunAudit,
    RunCancel,
    RunEvent,
    RunGet,
    RunList,
    RunPage,
    RunRelease,
    RunRequested,
    RunRetry,
    RunSettle,
    RunStarted,
)
from shared.contracts.states import NodeStatus, RunStatus


class RunCalls(Calls):
    """Runs are named by id."""

    async def run(
        self,
        pipeline: str,
        run_input: JsonObject | None = None,
        *,
        run_id: UUID | None = None,
        idempotency_key: str | None = None,
        hold: bool = False,
    ) -> RunStarted:
        """Start a run; it is committed when this returns.

        When no coordinator answers within 2 s, the stream takes the request: the run is `pending` then. A run on
        `hold` is `pending` until `release`.
        """
        return await self._transport.start(_requested(pipeline, run_input, run_id, idempotency_key, hold))

    async def request_run(
        self,
        pipeline: str,
        run_input: JsonObject | None = None,
        *,
        run_id: UUID | None = None,
        idempotency_key: str | None = None,
    ) -> UUID:
        """Start a run through the stream; it will run, whoever is away now, once this has returned its id."""
        request = _requested(pipeline, run_input, run_id, idempotency_key, hold=False)
        return (await self._transport.request(request)).run_id

    async def get_run(self, run_id: UUID, *, include_node_results: bool = False) -> Run:
        request = RunGet(run_id=run_id, include_node_results=include_node_results)
        return await self._call(subjects.RUNS_GET, request, Run, READ_TIMEOUT_S)

    async def list_runs(
        self,
        *,
        pipeline_id: UUID | None = None,
        status: RunStatus | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        sort: Literal["-created_at", "created_at"] = "-created_at",
        limit: int = 50,
        after: UUID | None = None,
    ) -> RunPage:
        request = RunList(
            pipeline_id=pipeline_id,
            status=status,
            created_after=created_after,
            created_before=created_before,
            sort=sort,
            limit=limit,
            after=after,
        )
        return await self._call(subjects.RUNS_LIST, request, RunPage)

    async def cancel(self, run_id: UUID, reason: str | None = None) -> Run:
        """From the return on, nothing of the run is begun any more."""
        return await self._call(subjects.RUNS_CANCEL, RunCancel(run_id=run_id, reason=reason), Run)

    async def release(self, run_id: UUID) -> Run:
        """Start a run that is held."""
        return await self._call(subjects.RUNS_RELEASE, RunRelease(run_id=run_id), Run)

    async def complete(self, run_id: UUID, reason: str) -> Run:
        """End it by hand as completed: what is done is its output."""
        return await self._call(subjects.RUNS_SETTLE, RunSettle(run_id=run_id, status="completed", reason=reason), Run)

    async def fail(self, run_id: UUID, reason: str) -> Run:
        """End it by hand as failed; the reason is its error."""
        return await self._call(subjects.RUNS_SETTLE, RunSettle(run_id=run_id, status="failed", reason=reason), Run)

    async def retry(
        self, run_id: UUID, start_from: Literal["failed", "start"] = "failed", *, new_run_id: UUID | None = None
    ) -> Run:
        """Run it again as a new run, which is returned; `failed` keeps what is done."""
        request = RunRetry(run_id=run_id, new_run_id=new_run_id or new_id(), start_from=start_from)
        return await self._call(subjects.RUNS_RETRY, request, Run, READ_TIMEOUT_S)

    async def audit(self, run_id: UUID) -> AuditTrail:
        """What people did to it, oldest first."""
        return await self._call(subjects.RUNS_AUDIT, RunAudit(run_id=run_id), AuditTrail)

    async def list_node_results(
        self, run_id: UUID, *, status: NodeStatus | None = None, limit: int = 50, after: str | None = None
    ) -> NodeResultPage:
        request = NodeResultsList(run_id=run_id, status=status, limit=limit, after=after)
        return await self._call(subjects.NODE_RESULTS_LIST, request, NodeResultPage, READ_TIMEOUT_S)

    async def get_node_result(self, run_id: UUID, node_key: str) -> NodeResultView:
        """With its attempts."""
        request = NodeResultGet(run_id=run_id, node_key=node_key)
        return await self._call(subjects.NODE_RESULTS_GET, request, NodeResultView, READ_TIMEOUT_S)

    async def wait(self, run_id: UUID, timeout_s: float = 60.0) -> Run:
        """The run when it has ended; raises TimeoutError when it has not ended in time."""
        async with asyncio.timeout(timeout_s), aclosing(self.events(run_id)) as steps:
            async for step in steps:
                if step.status.is_final:
                    return step if isinstance(step, Run) else await self.get_run(run_id)
        raise AssertionError("events end with a final state")

    def events(self, run_id: UUID) -> AsyncGenerator[Run | RunEvent, None]:
        """The run as it is, then every change, until it has ended.

        On a gap or 5 s of silence the run itself comes again; nothing comes that is not newer.
        """
        return self._transport.events(run_id)


def _requested(
    pipeline: str, run_input: JsonObject | None, run_id: UUID | None, idempotency_key: str | None, hold: bool
) -> RunRequested:
    return RunRequested(
        pipeline=pipeline,
        input=run_input or {},
        run_id=run_id or new_id(),
        idempotency_key=idempotency_key,
        hold=hold,
    )
