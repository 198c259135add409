"""What coordinator and executors say to each other."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.message import JsonObject, Message, NodeTypeName, RunIdText, Time, TransferRef
from shared.contracts.problems import NodeProblem
from shared.contracts.states import NodeStatus


class UpstreamNode(BaseModel):
    """What a node sees of one upstream node: of the output only the fields that it refers to."""

    model_config = ConfigDict(frozen=True)

    status: NodeStatus
    #: None when the node was skipped or failed.
    output: JsonObject | None = None
    error: NodeProblem | None = None


class NodeInputs(BaseModel):
    """The values that a node's templates may refer to; each part only if they do."""

    model_config = ConfigDict(frozen=True)

    input: JsonObject = Field(default_factory=dict)
    nodes: dict[str, UpstreamNode] = Field(default_factory=dict)
    #: The key, among `nodes`, of the only live predecessor; None when there is none or more than one.
    previous: str | None = None


class NodeReady(Message):
    """Run this node now. The coordinator promises that every input is present and committed."""

    name: ClassVar[str] = "node.ready"

    run_id: RunIdText
    node_key: str
    node_type: str
    #: 1 for the first try. `(run_id, node_key, attempt)` names this piece of work for ever.
    attempt: int = Field(ge=1)
    #: How often this attempt was sent; a re-send is not a new attempt.
    dispatch: int = Field(ge=1)
    #: HMAC-SHA256 of `run:node:attempt` under the coordinators' secret; goes back with the result.
    token: str
    config: JsonObject
    #: Absent when it lies in `inputs_ref`.
    inputs: NodeInputs | None = None
    inputs_ref: TransferRef | None = None
    run_started_at: Time
    #: Counts from the moment a worker begins.
    timeout_s: float = Field(gt=0)
    #: W3C trace context of the run, when it is traced.
    traceparent: str | None = None


class Completed(BaseModel):
    """The attempt gave an output: inline up to 256 KiB, else in `transfers`."""

    model_config = ConfigDict(frozen=True)

    status: Literal["completed"] = "completed"
    output: JsonObject | None = None
    output_ref: TransferRef | None = None


class Failed(BaseModel):
    """The attempt gave none. `retryable` says whether trying again may help."""

    model_config = ConfigDict(frozen=True)

    status: Literal["failed"] = "failed"
    outcome: Literal["failed", "timed_out", "worker_died"] = "failed"
    error: NodeProblem
    retryable: bool
    #: The other side asked to wait at least so long (Retry-After).
    retry_after_s: float | None = None


class NodeResult(BaseModel):
    """How one attempt ended."""

    model_config = ConfigDict(frozen=True)

    run_id: RunIdText
    node_key: str
    attempt: int = Field(ge=1)
    token: str
    outcome: Annotated[Completed | Failed, Field(discriminator="status")]
    #: When the worker began and ended, by its own clock.
    started_at: Time
    finished_at: Time
    #: Figures of the attempt: tokens, cost, bytes, status; small, and never a secret.
    metadata: JsonObject = Field(default_factory=dict)


class NodesFinished(Message):
    """What a worker finished since it last said so: 1 to 500 results, at most 512 KiB.

    `results` stay plain objects here: each is parsed by itself, so that one unreadable item harms no other.
    """

    name: ClassVar[str] = "nodes.finished"

    worker: str
    results: list[Any] = Field(min_length=1, max_length=500)


class HeldAttempt(BaseModel):
    """An attempt that a worker has held for more than a second."""

    model_config = ConfigDict(frozen=True)

    run_id: RunIdText
    node_key: str
    attempt: int
    started_at: Time


class NodesRunning(Message):
    """Every 3 s: the attempts that this worker works on; the coordinator extends their leases."""

    name: ClassVar[str] = "nodes.running"

    worker: str
    attempts: list[HeldAttempt]


class NodeTokens(Message):
    """A piece of a model's text as it came; best effort, never replayed. The node result is what counts."""

    name: ClassVar[str] = "node.tokens"

    run_id: RunIdText
    node_key: str
    attempt: int
    index: int
    text: str


class NodeTypeAnnounced(Message):
    """A worker serves this node type. Told at start and every 30 s; silence for 90 s means it left."""

    name: ClassVar[str] = "node_type.announced"

    node_type: NodeTypeName
    worker: str
    title: str
    description: str = ""
    #: JSON Schema (2020-12) of the config. A property with `"format": "expression"` is one expression;
    #: every other string is a template.
    config_schema: JsonObject
    #: JSON Schema of the output, for people and editors.
    output_schema: JsonObject = Field(default_factory=dict)
    #: Rises whenever `config_schema` changes.
    schema_version: int = Field(ge=1)
    #: Pieces of work that this worker takes at the same time.
    slots: int = Field(ge=1)
    #: True for types that answer in well under 10 ms; they share one process and a large window.
    is_fast: bool = False
    #: Used when a node names no timeout of its own.
    default_timeout_s: float = Field(default=60.0, gt=0, le=3600)
    #: The branches that a node of this type may take, besides `error`; its output names the one taken in
    #: `branch`. None: the type has none. A list: these. `"config:cases"`: the `branch` of each item of that
    #: config field, and `default`; when the config has no such field, `true` and `false`.
    branches: list[str] | str | None = None
    #: `config` + `inputs` -> `output`, for the catalogue.
    examples: list[JsonObject] = Field(default_factory=list)
