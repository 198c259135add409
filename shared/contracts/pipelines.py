"""Pipelines as users write them, as the API shows them, and as publish compiles them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.message import (
    Document,
    JsonObject,
    Message,
    NodeKey,
    NodeTypeName,
    Slug,
    Time,
)
from shared.contracts.problems import Problem
from shared.contracts.states import PipelineStatus

#: Of one pipeline.
MOST_NODES = 10_010
MOST_EDGES = 50_000

OnError = Literal["fail", "continue"]


class Retry(Document):
    """How often a node is tried, and how long is waited in between.

    The wait before attempt n + 1 is a random time up to `min(max_delay_s, initial_delay_s * factor ** (n - 1))`
    (exponential backoff with full jitter), and never less than a Retry-After of the other side.
    """

    max_attempts: int = Field(default=3, ge=1, le=20)
    initial_delay_s: float = Field(default=0.5, ge=0.0, le=600)
    factor: float = Field(default=2.0, ge=1, le=10)
    max_delay_s: float = Field(default=30.0, ge=0.0, le=600)


class Position(Document):
    """Where an editor draws the node, in pixels."""

    x: float
    y: float


class NodeDocument(Document):
    """One node as a user writes it."""

    key: NodeKey
    type: NodeTypeName
    name: str | None = Field(default=None, max_length=200)
    config: JsonObject = Field(default_factory=dict)
    position: Position | None = None
    retry: Retry | None = None
    timeout_s: float | None = Field(default=None, gt=0, le=3600)
    on_error: OnError = "fail"


class EdgeDocument(Document):
    """source -> target. `branch` is a branch of the source, or `error`."""

    source: NodeKey
    target: NodeKey
    branch: str | None = Field(default=None, min_length=1, max_length=63)


class PipelineDocument(Document):
    """A whole pipeline: the body of create and update, and the file that `apply` takes."""

    name: str = Field(min_length=1, max_length=200)
    slug: Slug | None = None
    description: str = Field(default="", max_length=10_000)
    #: JSON Schema (2020-12) that a run's input must fit.
    input_schema: JsonObject | None = None
    nodes: list[NodeDocument] = Field(default_factory=list, max_length=MOST_NODES)
    edges: list[EdgeDocument] = Field(default_factory=list, max_length=MOST_EDGES)


def written(document: dict[str, Any]) -> dict[str, Any]:
    """A `PipelineDocument` as a person would write it: without what is left out anyway."""
    whole = {name: value for name, value in document.items() if value not in (None, "")}
    for part, usual in (("nodes", {"on_error": "fail"}), ("edges", {})):
        whole[part] = [
            {name: value for name, value in item.items() if value is not None and usual.get(name) != value}
            for item in document[part]
        ]
    return whole


class Pipeline(BaseModel):
    """A pipeline as the API shows it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    slug: str
    name: str
    description: str
    status: PipelineStatus
    input_schema: JsonObject | None = None
    #: The number of the version that runs use; None before the first publish.
    active_version: int | None = None
    #: Rises with everything that changes: edits, publish, archive.
    revision: int
    created_at: Time
    updated_at: Time
    node_count: int
    #: Absent in lists.
    nodes: list[NodeDocument] | None = None
    edges: list[EdgeDocument] | None = None


class PipelineCreate(Message):
    """Make a draft out of a document. The answer is the pipeline."""

    name: ClassVar[str] = "pipelines.create"

    document: Any
    #: The same key and document give the same pipeline, another document is refused.
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=255)


class PipelineApply(Message):
    """Create or update by slug, then publish if anything changed. The answer is `Applied`."""

    name: ClassVar[str] = "pipelines.apply"

    document: Any
    publish: bool = True


class Applied(BaseModel):
    """What apply did."""

    pipeline: Pipeline
    outcome: Literal["created", "updated", "unchanged"]


class PipelineGet(Message):
    """Also the body of delete, publish, archive and export."""

    name: ClassVar[str] = "pipelines.get"

    #: Slug or id.
    pipeline: str
    #: Refused with 412 when it has another revision; for what changes it.
    if_revision: int | None = None


class PipelineUpdate(Message):
    """The draft becomes this document; runs go on with what is published. The answer is the pipeline."""

    name: ClassVar[str] = "pipelines.update"

    pipeline: str
    document: Any
    if_revision: int | None = None


class PipelinePatch(Message):
    """Change these parts of the draft: a JSON Merge Patch (RFC 7396) of its document. The answer is the pipeline."""

    name: ClassVar[str] = "pipelines.patch"

    pipeline: str
    changes: JsonObject
    if_revision: int | None = None


class PipelineList(Message):
    """Pipelines by slug; `after` is the slug that the last page ended with."""

    name: ClassVar[str] = "pipelines.list"

    status: PipelineStatus | None = None
    limit: int = Field(default=50, ge=1, le=200)
    after: str | None = None
    #: A minus stands for descending.
    sort: Literal["slug", "-slug"] = "slug"


class PipelinePage(BaseModel):
    """One page of pipelines; `next_after` is null on the last."""

    pipelines: list[Pipeline]
    next_after: str | None = None


class References(BaseModel):
    """What a node's templates refer to: exactly this is sent to its worker."""

    model_config = ConfigDict(frozen=True)

    #: True when they use `input` or one of its keys at top level.
    input: bool = False
    #: Node key -> the fields of its output, or None for the whole of it.
    nodes: dict[str, list[str] | None] = Field(default_factory=dict)
    previous: bool = False


class CompiledNode(BaseModel):
    """One node of a version, ready to run."""

    model_config = ConfigDict(frozen=True)

    key: str
    type: str
    name: str | None = None
    config: JsonObject
    retry: Retry
    timeout_s: float
    on_error: OnError
    references: References


class CompiledVersion(Message):
    """An immutable copy of a pipeline, made by publish; all that a run needs to know of its pipeline."""

    name: ClassVar[str] = "version.compiled"

    id: UUID
    pipeline_id: UUID
    pipeline_slug: str
    number: int = Field(ge=1)
    input_schema: JsonObject | None = None
    nodes: list[CompiledNode]
    edges: list[EdgeDocument]
    published_at: Time


class VersionsResolve(Message):
    """Which version is active for each of these slugs or ids?"""

    name: ClassVar[str] = "versions.resolve"

    pipelines: list[str] = Field(max_length=1000)


class ResolvedVersion(BaseModel):
    """The active version of a pipeline, or why there is none."""

    model_config = ConfigDict(frozen=True)

    pipeline: str
    version_id: UUID | None = None
    error: Problem | None = None


class VersionsResolved(Message):
    """In the order of the question."""

    name: ClassVar[str] = "versions.resolved"

    versions: list[ResolvedVersion]


class VersionGet(Message):
    """Read a version, which never changes. The answer is `CompiledVersion`."""

    name: ClassVar[str] = "versions.get"

    version_id: UUID


class NodeTypeView(BaseModel):
    """A node type of the catalogue."""

    model_config = ConfigDict(frozen=True)

    node_type: str
    title: str
    description: str
    config_schema: JsonObject
    output_schema: JsonObject
    schema_version: int
    default_timeout_s: float
    is_fast: bool
    branches: list[str] | str | None = None
    examples: list[JsonObject] = Field(default_factory=list)
    #: Slots of all workers that serve it now.
    slots: int
    workers: list[str] = Field(default_factory=list)
    is_online: bool


class NodeTypeList(BaseModel):
    """The catalogue, by name."""

    node_types: list[NodeTypeView]


class NodeTypesList(Message):
    """Asks for the catalogue."""

    name: ClassVar[str] = "node_types.list"
