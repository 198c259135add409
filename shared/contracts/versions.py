"""Published versions: read, compared, and published again."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.message import Message, Time
from shared.contracts.pipelines import PipelineDocument


class VersionsList(Message):
    """Versions of a pipeline, newest first; `after` is the number that the last page ended with."""

    name: ClassVar[str] = "versions.list"

    #: Slug or id.
    pipeline: str
    limit: int = Field(default=50, ge=1, le=200)
    after: int | None = None
    #: A minus stands for descending.
    sort: Literal["-number", "number"] = "-number"


class VersionRead(Message):
    """Read a version by its number. The answer is `PipelineVersion`, with its document."""

    name: ClassVar[str] = "versions.read"

    pipeline: str
    number: int


class VersionPublish(Message):
    """New runs use this version again; the draft stays as it is. The answer is the pipeline."""

    name: ClassVar[str] = "versions.publish"

    pipeline: str
    number: int
    if_revision: int | None = None


class VersionsCompare(Message):
    """What changed from one version to another, or to the draft. The answer is `VersionDifference`."""

    name: ClassVar[str] = "versions.compare"

    pipeline: str
    number: int
    #: None: the draft.
    other: int | None = None


class PipelineVersion(BaseModel):
    """A published version, as the API shows it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    pipeline_id: UUID
    number: int
    #: New runs use it.
    is_active: bool
    published_at: Time
    node_count: int
    #: What was published; absent in lists.
    document: PipelineDocument | None = None


class VersionPage(BaseModel):
    """One page of versions; `next_after` is null on the last."""

    versions: list[PipelineVersion]
    next_after: int | None = None


class ValueChange(BaseModel):
    """A value that differs; absent values are None."""

    #: JSON pointer into the part that changed.
    pointer: str
    before: Any = None
    after: Any = None


class NodeDifference(BaseModel):
    """What changed in one node that both have."""

    key: str
    changes: list[ValueChange]


class EdgeName(BaseModel):
    """An edge by its ends."""

    source: str
    target: str
    branch: str | None = None


class VersionDifference(BaseModel):
    """From `number` to `other`; `other` None is the draft."""

    number: int
    other: int | None
    #: Of the pipeline itself: name, description, input_schema.
    changes: list[ValueChange] = Field(default_factory=list)
    nodes_added: list[str] = Field(default_factory=list)
    nodes_removed: list[str] = Field(default_factory=list)
    nodes_changed: list[NodeDifference] = Field(default_factory=list)
    edges_added: list[EdgeName] = Field(default_factory=list)
    edges_removed: list[EdgeName] = Field(default_factory=list)
