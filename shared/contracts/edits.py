"""Single nodes and edges of a draft, and what is wrong with it; every edit raises the pipeline's revision."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.message import JsonObject, Message
from shared.contracts.pipelines import OnError, Position, Retry
from shared.contracts.problems import FieldProblem


class PipelineValidate(Message):
    """Check a document, or the draft of a pipeline when there is none; nothing is saved. The answer is `Findings`."""

    name: ClassVar[str] = "pipelines.validate"

    document: Any = None
    #: Slug or id.
    pipeline: str | None = None


class Findings(BaseModel):
    """Everything that is wrong with a document, each with its place."""

    is_valid: bool
    errors: list[FieldProblem] = Field(default_factory=list)


class NodeView(BaseModel):
    """A node of a draft, as the API shows it."""

    model_config = ConfigDict(frozen=True)

    pipeline_id: UUID
    #: Of the pipeline.
    revision: int
    key: str
    type: str
    name: str | None = None
    config: JsonObject
    position: Position | None = None
    retry: Retry | None = None
    timeout_s: float | None = None
    on_error: OnError = "fail"


class NodeCreate(Message):
    """Add a node to the draft. The answer is `NodeView`.

    What only edges can put right (references upstream) is checked when the pipeline is published.
    """

    name: ClassVar[str] = "nodes.create"

    pipeline: str
    node: Any
    #: Refused with 412 when the pipeline has another revision.
    if_revision: int | None = None


class NodeGet(Message):
    """Read a node of the draft. The answer is `NodeView`."""

    name: ClassVar[str] = "nodes.get"

    pipeline: str
    key: str


class NodeUpdate(Message):
    """The node becomes this document, under the same key. The answer is `NodeView`."""

    name: ClassVar[str] = "nodes.update"

    pipeline: str
    key: str
    node: Any
    if_revision: int | None = None


class NodePatch(Message):
    """Change these parts of a node: a JSON Merge Patch (RFC 7396) of it. The answer is `NodeView`."""

    name: ClassVar[str] = "nodes.patch"

    pipeline: str
    key: str
    changes: JsonObject
    if_revision: int | None = None


class NodeDelete(Message):
    """Take a node out, with its edges. The answer is the node as it was."""

    name: ClassVar[str] = "nodes.delete"

    pipeline: str
    key: str
    if_revision: int | None = None


class NodesList(Message):
    """Nodes of the draft by key; `after` is the key that the last page ended with."""

    name: ClassVar[str] = "nodes.list"

    pipeline: str
    limit: int = Field(default=50, ge=1, le=200)
    after: str | None = None
    #: A minus stands for descending.
    sort: Literal["key", "-key"] = "key"


class NodePage(BaseModel):
    """One page of nodes; `next_after` is null on the last."""

    nodes: list[NodeView]
    next_after: str | None = None


def edge_id(source: str, target: str, branch: str | None = None) -> str:
    """What names an edge inside its pipeline: `source.target`, or `source.target.branch`; keys hold no dots."""
    return ".".join(filter(None, (source, target, branch)))


class EdgeView(BaseModel):
    """An edge of a draft, as the API shows it."""

    model_config = ConfigDict(frozen=True)

    #: As `edge_id` makes it.
    id: str
    pipeline_id: UUID
    #: Of the pipeline.
    revision: int
    source: str
    target: str
    branch: str | None = None


class EdgeCreate(Message):
    """Add an edge to the draft. The answer is `EdgeView`."""

    name: ClassVar[str] = "edges.create"

    pipeline: str
    edge: Any
    if_revision: int | None = None


class EdgeGet(Message):
    """Read an edge of the draft. The answer is `EdgeView`."""

    name: ClassVar[str] = "edges.get"

    pipeline: str
    id: str


class EdgeDelete(Message):
    """Take an edge out. The answer is the edge as it was."""

    name: ClassVar[str] = "edges.delete"

    pipeline: str
    id: str
    if_revision: int | None = None


class EdgesList(Message):
    """Edges of the draft by id; `after` is the id that the last page ended with."""

    name: ClassVar[str] = "edges.list"

    pipeline: str
    limit: int = Field(default=50, ge=1, le=200)
    after: str | None = None
    #: A minus stands for descending.
    sort: Literal["id", "-id"] = "id"


class EdgePage(BaseModel):
    """One page of edges; `next_after` is null on the last."""

    edges: list[EdgeView]
    next_after: str | None = None
