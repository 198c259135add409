"""The client: starts, follows and ends runs and keeps pipelines, with the same methods over NATS and over REST."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from nats.aio.client import Client
from pydantic import BaseModel

from shared.bus.rpc import DEFAULT_TIMEOUT_S, Reply
from shared.client_nats import NatsTransport, connect_nats
from shared.client_rest import connect_rest
from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.edits import Findings, PipelineValidate
from shared.contracts.message import JsonObject
from shared.contracts.pipelines import (
    Applied,
    NodeTypeList,
    NodeTypesList,
    NodeTypeView,
    Pipeline,
    PipelineApply,
    PipelineDocument,
    PipelineGet,
    PipelineList,
    PipelinePage,
)
from shared.contracts.runs import (
    Run,
    RunCancel,
    RunEvent,
    RunGet,
    RunList,
    RunPage,
    RunRelease,
    RunRequested,
    RunRetry,
    RunStarted,
)
from shared.contracts.states import RunStatus
from shared.contracts.versions import VersionDifference, VersionPage, VersionPublish, VersionsCompare, VersionsList

EDIT_TIMEOUT_S = 60.0
READ_TIMEOUT_S = 30.0


class Transport(Protocol):
    """What carries requests: NATS or REST."""

    async def call(self, subject: str, request: BaseModel, reply: type[Reply], timeout_s: float) -> Reply: ...

    async def start(self, request: RunRequested) -> RunStarted: ...

    async def request(self, request: RunRequested) -> RunStarted: ...

    def events(self, run_id: UUID) -> AsyncGenerator[Run | RunEvent, None]: ...


class PipewrightClient:
    """Talks to a running Pipewright. Raises ProblemError when it refuses, UnavailableError when none answers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, api_key: str | None = None) -> AsyncIterator[PipewrightClient]:
        """`nats://user:password@host:4222` for a service inside; `https://host` and an API key for any other."""
        connecting = connect_rest(url, api_key) if url.startswith(("http://", "https://")) else connect_nats(url)
        async with connecting as transport:
            yield cls(transport)

    @property
    def nats(self) -> Client:
        """The connection of a client over NATS."""
        if not isinstance(self._transport, NatsTransport):
            raise TypeError("a client over REST has no connection to NATS")
        return self._transport.client

    async def _call(
        self, subject: str, request: BaseModel, reply: type[Reply], timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> Reply:
        return await self._transport.call(subject, request, reply, timeout_s)

    # Runs

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
        limit: int = 50,
        after: UUID | None = None,
    ) -> RunPage:
        request = RunList(
            pipeline_id=pipeline_id,
            status=status,
            created_after=created_after,
            created_before=created_before,
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

    async def retry(self, run_id: UUID, start_from: Literal["failed", "start"] = "failed") -> Run:
        """Run it again as a new run, which is returned; `failed` keeps what is done."""
        request = RunRetry(run_id=run_id, new_run_id=new_id(), start_from=start_from)
        return await self._call(subjects.RUNS_RETRY, request, Run, READ_TIMEOUT_S)

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

    # Pipelines

    async def apply(self, document: Any, *, publish: bool = True) -> Applied:
        """Create or update a pipeline by its slug; applying the same again changes nothing."""
        request = PipelineApply(document=document, publish=publish)
        return await self._call(subjects.PIPELINES_APPLY, request, Applied, EDIT_TIMEOUT_S)

    async def get_pipeline(self, pipeline: str) -> Pipeline:
        return await self._call(subjects.PIPELINES_GET, PipelineGet(pipeline=pipeline), Pipeline, EDIT_TIMEOUT_S)

    async def list_pipelines(self, *, limit: int = 50, after: str | None = None) -> PipelinePage:
        return await self._call(
            subjects.PIPELINES_LIST, PipelineList(limit=limit, after=after), PipelinePage, DEFAULT_TIMEOUT_S
        )

    async def delete_pipeline(self, pipeline: str) -> Pipeline:
        request = PipelineGet(pipeline=pipeline)
        return await self._call(subjects.PIPELINES_DELETE, request, Pipeline, EDIT_TIMEOUT_S)

    async def publish_pipeline(self, pipeline: str) -> Pipeline:
        request = PipelineGet(pipeline=pipeline)
        return await self._call(subjects.PIPELINES_PUBLISH, request, Pipeline, EDIT_TIMEOUT_S)

    async def archive_pipeline(self, pipeline: str) -> Pipeline:
        request = PipelineGet(pipeline=pipeline)
        return await self._call(subjects.PIPELINES_ARCHIVE, request, Pipeline)

    async def node_types(self) -> list[NodeTypeView]:
        return (await self._call(subjects.NODE_TYPES_LIST, NodeTypesList(), NodeTypeList)).node_types

    async def validate(self, document: Any) -> Findings:
        """Everything that is wrong with a document; nothing is saved."""
        request = PipelineValidate(document=document)
        return await self._call(subjects.PIPELINES_VALIDATE, request, Findings, EDIT_TIMEOUT_S)

    async def export(self, pipeline: str) -> PipelineDocument:
        """The draft as the document that `apply` takes."""
        request = PipelineGet(pipeline=pipeline)
        return await self._call(subjects.PIPELINES_EXPORT, request, PipelineDocument, EDIT_TIMEOUT_S)

    async def list_versions(self, pipeline: str, *, limit: int = 50, after: int | None = None) -> VersionPage:
        request = VersionsList(pipeline=pipeline, limit=limit, after=after)
        return await self._call(subjects.VERSIONS_LIST, request, VersionPage)

    async def publish_version(self, pipeline: str, number: int) -> Pipeline:
        """New runs use this version again."""
        request = VersionPublish(pipeline=pipeline, number=number)
        return await self._call(subjects.VERSIONS_PUBLISH, request, Pipeline, EDIT_TIMEOUT_S)

    async def compare_versions(self, pipeline: str, number: int, other: int | None = None) -> VersionDifference:
        """What changed from one version to another, or to the draft."""
        request = VersionsCompare(pipeline=pipeline, number=number, other=other)
        return await self._call(subjects.VERSIONS_COMPARE, request, VersionDifference, EDIT_TIMEOUT_S)


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
