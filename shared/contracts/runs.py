"""How runs are asked for, read and followed."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.message import JsonObject, Message, OwnRunId, Time
from shared.contracts.problems import NodeProblem, Problem
from shared.contracts.states import AttemptOutcome, NodeStatus, RunStatus


class RunRequested(Message):
    """Start a run of the active version of a pipeline. Asking twice with one `run_id` is one run."""

    name: ClassVar[str] = "run.requested"

    #: Slug or id.
    pipeline: str
    input: JsonObject = Field(default_factory=dict)
    #: A UUIDv7 chosen by the caller; the coordinator chooses one otherwise.
    run_id: OwnRunId | None = None
    #: Unique with the pipeline: the same key and body give the same run, another body is refused.
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=255)
    #: True: the run waits as `pending` until `runs.release`.
    hold: bool = False
    #: True: somebody waits for its end, so that the event of it brings the run if it can.
    is_awaited: bool = False
    traceparent: str | None = None


class RunStarted(Message):
    """The run is committed. The answer to `rpc.runs.start`."""

    name: ClassVar[str] = "run.started"

    run_id: UUID
    status: RunStatus


class NodeChange(BaseModel):
    """What became of one node in one step of its run."""

    model_config = ConfigDict(frozen=True)

    node_key: str
    status: NodeStatus
    attempt: int
    error: NodeProblem | None = None


#: Whoever follows a run reads it again after so much silence, in case an event was lost.
SILENCE_S = 5.0


class RunGet(Message):
    """Read a run, with its node results if asked."""

    name: ClassVar[str] = "runs.get"

    run_id: UUID
    include_node_results: bool = False


class RunCancel(Message):
    """Cancel a run. The answer is the run; a run that has ended is refused with 409."""

    name: ClassVar[str] = "runs.cancel"

    run_id: UUID
    reason: str | None = Field(default=None, max_length=1000)
    #: Who asks, for the audit.
    actor: str | None = Field(default=None, max_length=200)


class RunRelease(Message):
    """Start a run that waits as `pending`. The answer is the run."""

    name: ClassVar[str] = "runs.release"

    run_id: UUID
    actor: str | None = Field(default=None, max_length=200)


class RunSettle(Message):
    """End a run by hand: what is done stays, nothing more is begun. The answer is the run."""

    name: ClassVar[str] = "runs.settle"

    run_id: UUID
    status: Literal["completed", "failed"]
    reason: str = Field(min_length=1, max_length=1000)
    actor: str | None = Field(default=None, max_length=200)


class RunRetry(Message):
    """Run it again as a new run of the same version with the same input. The answer is the new run.

    `from` `failed` keeps what is done and runs the failed nodes and all below them; `start` runs everything.
    """

    name: ClassVar[str] = "runs.retry"

    run_id: UUID
    #: A UUIDv7 of the caller; asking twice with it is one run.
    new_run_id: OwnRunId | None = None
    start_from: Literal["failed", "start"] = "failed"
    actor: str | None = Field(default=None, max_length=200)


class RunAudit(Message):
    """What operators did to a run. The answer is `AuditTrail`."""

    name: ClassVar[str] = "runs.audit"

    run_id: UUID


class AuditEntry(BaseModel):
    """One thing that somebody did."""

    model_config = ConfigDict(frozen=True)

    action: Literal["start", "complete", "fail", "cancel", "retry"]
    actor: str | None = None
    reason: str | None = None
    at: Time


class AuditTrail(BaseModel):
    """Oldest first."""

    audit: list[AuditEntry]


class NodeResultsList(Message):
    """Node results of a run in the order of its document; `after` is the key that the last page ended with."""

    name: ClassVar[str] = "node_results.list"

    run_id: UUID
    status: NodeStatus | None = None
    limit: int = Field(default=50, ge=1, le=200)
    after: str | None = None


class NodeResultGet(Message):
    """Read one node result, with its attempts. The answer is `NodeResultView`."""

    name: ClassVar[str] = "node_results.get"

    run_id: UUID
    node_key: str


class RunList(Message):
    """Runs, newest first unless `sort` says otherwise; `after` is the id that the last page ended with."""

    name: ClassVar[str] = "runs.list"

    pipeline_id: UUID | None = None
    status: RunStatus | None = None
    #: Times of creation, both ends included.
    created_after: Time | None = None
    created_before: Time | None = None
    limit: int = Field(default=50, ge=1, le=200)
    after: UUID | None = None
    #: A minus stands for descending.
    sort: Literal["-created_at", "created_at"] = "-created_at"


class Attempt(BaseModel):
    """One try of a node, as recorded when it ended."""

    model_config = ConfigDict(frozen=True)

    attempt: int
    outcome: AttemptOutcome
    worker: str | None = None
    error: NodeProblem | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    duration_ms: float | None = None
    metadata: JsonObject = Field(default_factory=dict)


class NodeResultView(BaseModel):
    """The outcome of one node in one run."""

    model_config = ConfigDict(frozen=True)

    node_key: str
    node_type: str
    status: NodeStatus
    #: What its templates name of upstream values, calculated when read; None before it could run.
    input: JsonObject | None = None
    output: JsonObject | None = None
    error: NodeProblem | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    #: `duration_ms`, `retry_count`, `worker`, `usage` and other figures of the last attempt.
    metadata: JsonObject = Field(default_factory=dict)
    attempts: list[Attempt] = Field(default_factory=list)


class Run(BaseModel):
    """A run as the API shows it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    #: None when the request named a pipeline that could not be resolved.
    pipeline_id: UUID | None
    pipeline_slug: str | None = None
    version: int | None
    status: RunStatus
    input: JsonObject
    #: `{leaf key: its output}` of the leaves that completed; None before the run has completed.
    output: JsonObject | None = None
    error: NodeProblem | None = None
    progress_percent: int = Field(ge=0, le=100)
    node_count: int = 0
    created_at: Time
    started_at: Time | None = None
    finished_at: Time | None = None
    duration_ms: float | None = None
    #: The run that this one is a retry of.
    retry_of: UUID | None = None
    #: The step that this snapshot is true for.
    seq: int = 0
    #: Present when asked for.
    node_results: list[NodeResultView] | None = None


class RunEvent(Message):
    """One step of a run. `seq` rises by one a step; on a gap read the run again."""

    name: ClassVar[str] = "run.event"

    run_id: UUID
    pipeline_id: UUID | None = None
    seq: int
    status: RunStatus
    changes: list[NodeChange] = Field(default_factory=list)
    #: Nodes of the run, and those in a final state: progress without another read.
    node_count: int = 0
    finished_count: int = 0
    error: NodeProblem | None = None
    #: The run as it ended, when its request said that it is awaited, and it is small and at hand.
    run: Run | None = None


class NodeResultPage(BaseModel):
    """One page of node results; `next_after` is null on the last."""

    node_results: list[NodeResultView]
    next_after: str | None = None


class RunPage(BaseModel):
    """One page of runs; `next_after` is null on the last."""

    runs: list[Run]
    next_after: UUID | None = None


class ProblemReply(BaseModel):
    """The answer to a request that was refused."""

    error: Problem


class Parked(Message):
    """A message that nobody could read, kept for 7 days with the reason."""

    name: ClassVar[str] = "dead.letter"

    subject: str
    reason: str
    #: The start of the body, as text; at most 64 KiB.
    body: str
    #: What it was meant to be: run_request, node_ready, node_result, node_running or announcement.
    kind: str
