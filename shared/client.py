"""The client for internal services: starts, follows and cancels runs over NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any
from uuid import UUID

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.publish import MESSAGE_ID
from shared.bus.rpc import DEFAULT_TIMEOUT_S, Rpc
from shared.bus.transfers import Transfers
from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.message import JsonObject
from shared.contracts.pipelines import (
    Applied,
    NodeTypeList,
    NodeTypesList,
    NodeTypeView,
    Pipeline,
    PipelineApply,
    PipelineGet,
    PipelineList,
    PipelinePage,
)
from shared.contracts.runs import Run, RunCancel, RunEvent, RunGet, RunList, RunPage, RunRequested, RunStarted
from shared.contracts.states import RunStatus
from shared.errors import UnavailableError

#: A coordinator that has not answered by then is not there; the stream takes the request.
START_TIMEOUT_S = 2.0
#: After so much silence the run is read again, in case an event was lost.
SILENCE_S = 5.0
EDIT_TIMEOUT_S = 60.0


class PipewrightClient:
    """Talks to a running Pipewright. Raises ProblemError when it refuses, UnavailableError when none answers."""

    def __init__(self, client: Client) -> None:
        self.nats = client
        self._jetstream = client.jetstream(timeout=5)
        self._rpc = Rpc(client, Transfers(self._jetstream))

    @classmethod
    @asynccontextmanager
    async def connect(cls, nats_url: str) -> AsyncIterator[PipewrightClient]:
        """Credentials stand in the URL."""
        try:
            client = await nats.connect(nats_url, connect_timeout=5, allow_reconnect=False)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise UnavailableError(
                "nats_unavailable",
                f"NATS does not answer: {str(error) or type(error).__name__}. Is it running, is its address right?",
            ) from error
        try:
            yield cls(client)
        finally:
            await client.close()

    # Runs

    async def run(
        self,
        pipeline: str,
        run_input: JsonObject | None = None,
        *,
        run_id: UUID | None = None,
        idempotency_key: str | None = None,
    ) -> RunStarted:
        """Start a run by request and reply; it is committed when this returns.

        When no coordinator answers within 2 s, the stream takes the request: the run is `pending` then.
        """
        request = _requested(pipeline, run_input, run_id, idempotency_key)
        try:
            return await self._rpc.call(subjects.RUNS_START, request, RunStarted, START_TIMEOUT_S)
        except UnavailableError:
            await self._publish(request)
            assert request.run_id is not None
            return RunStarted(run_id=request.run_id, status=RunStatus.PENDING)

    async def request_run(
        self,
        pipeline: str,
        run_input: JsonObject | None = None,
        *,
        run_id: UUID | None = None,
        idempotency_key: str | None = None,
    ) -> UUID:
        """Start a run through the stream; it will run, whoever is away now, once this has returned its id."""
        request = _requested(pipeline, run_input, run_id, idempotency_key)
        await self._publish(request)
        assert request.run_id is not None
        return request.run_id

    async def _publish(self, request: RunRequested) -> None:
        try:
            await self._jetstream.publish(
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

    async def get_run(self, run_id: UUID, *, include_node_results: bool = False) -> Run:
        request = RunGet(run_id=run_id, include_node_results=include_node_results)
        return await self._rpc.call(subjects.RUNS_GET, request, Run, 30.0)

    async def list_runs(
        self,
        *,
        pipeline_id: UUID | None = None,
        status: RunStatus | None = None,
        limit: int = 50,
        after: UUID | None = None,
    ) -> RunPage:
        request = RunList(pipeline_id=pipeline_id, status=status, limit=limit, after=after)
        return await self._rpc.call(subjects.RUNS_LIST, request, RunPage)

    async def cancel(self, run_id: UUID) -> Run:
        """From the return on, nothing of the run is begun any more."""
        return await self._rpc.call(subjects.RUNS_CANCEL, RunCancel(run_id=run_id), Run)

    async def wait(self, run_id: UUID, timeout_s: float = 60.0) -> Run:
        """The run when it has ended; raises TimeoutError when it has not ended in time."""
        async with asyncio.timeout(timeout_s), aclosing(self.events(run_id)) as steps:
            async for step in steps:
                if step.status.is_final:
                    return step if isinstance(step, Run) else await self.get_run(run_id)
        raise AssertionError("events end with a final state")

    async def events(self, run_id: UUID) -> AsyncGenerator[Run | RunEvent, None]:
        """The run as it is, then every change, until it has ended.

        On a gap or 5 s of silence the run itself comes again; nothing comes that is not newer.
        """
        arrived: asyncio.Queue[RunEvent] = asyncio.Queue()

        async def on_event(message: Msg) -> None:
            event = RunEvent.model_validate_json(message.data)
            if event.run_id == run_id:
                arrived.put_nowait(event)

        subscription = await self.nats.subscribe(subjects.ALL_RUN_EVENTS, cb=on_event)
        await self.nats.flush()
        try:
            seq = -1
            event: RunEvent | None = None
            while True:
                if event is None or event.seq > seq + 1:
                    run = await self._read_pending(run_id)
                    if run is not None and run.seq > seq:
                        seq = run.seq
                        yield run
                        if run.status.is_final:
                            return
                elif event.seq > seq:
                    seq = event.seq
                    yield event
                    if event.status.is_final:
                        return
                event = await _next(arrived)
        finally:
            await subscription.unsubscribe()

    async def _read_pending(self, run_id: UUID) -> Run | None:
        """None while no coordinator answers; whoever waits goes on waiting."""
        try:
            return await self.get_run(run_id)
        except UnavailableError:
            return None

    # Pipelines

    async def apply(self, document: Any, *, publish: bool = True) -> Applied:
        """Create or update a pipeline by its slug; applying the same again changes nothing."""
        request = PipelineApply(document=document, publish=publish)
        return await self._rpc.call(subjects.PIPELINES_APPLY, request, Applied, EDIT_TIMEOUT_S)

    async def get_pipeline(self, pipeline: str) -> Pipeline:
        return await self._rpc.call(subjects.PIPELINES_GET, PipelineGet(pipeline=pipeline), Pipeline, EDIT_TIMEOUT_S)

    async def list_pipelines(self, *, limit: int = 50, after: str | None = None) -> PipelinePage:
        return await self._rpc.call(
            subjects.PIPELINES_LIST, PipelineList(limit=limit, after=after), PipelinePage, DEFAULT_TIMEOUT_S
        )

    async def delete_pipeline(self, pipeline: str) -> Pipeline:
        request = PipelineGet(pipeline=pipeline)
        return await self._rpc.call(subjects.PIPELINES_DELETE, request, Pipeline, EDIT_TIMEOUT_S)

    async def publish_pipeline(self, pipeline: str) -> Pipeline:
        request = PipelineGet(pipeline=pipeline)
        return await self._rpc.call(subjects.PIPELINES_PUBLISH, request, Pipeline, EDIT_TIMEOUT_S)

    async def archive_pipeline(self, pipeline: str) -> Pipeline:
        request = PipelineGet(pipeline=pipeline)
        return await self._rpc.call(subjects.PIPELINES_ARCHIVE, request, Pipeline)

    async def node_types(self) -> list[NodeTypeView]:
        return (await self._rpc.call(subjects.NODE_TYPES_LIST, NodeTypesList(), NodeTypeList)).node_types


def _requested(
    pipeline: str, run_input: JsonObject | None, run_id: UUID | None, idempotency_key: str | None
) -> RunRequested:
    return RunRequested(
        pipeline=pipeline, input=run_input or {}, run_id=run_id or new_id(), idempotency_key=idempotency_key
    )


async def _next(arrived: asyncio.Queue[RunEvent]) -> RunEvent | None:
    """The next event, None after a silence."""
    try:
        async with asyncio.timeout(SILENCE_S):
            return await arrived.get()
    except TimeoutError:
        return None
