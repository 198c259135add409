"""What every message has in common: readers are tolerant, what users write is strict."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

#: Any JSON object.
JsonObject = dict[str, Any]

#: UTC with microseconds, taken where the work was done.
Time = Annotated[datetime, AwareDatetime]

#: A run's id in what every node sends and gets, as text in its canonical form; UUID objects, made only to be
#: written again, would take a tenth of the time that a small node costs.
RunIdText = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", to_lower=True),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]

#: The name of a node inside its pipeline.
NODE_KEY_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
#: The name of a pipeline; a UUID never matches it in practice and is refused in words.
SLUG_PATTERN = r"^[a-z][a-z0-9-]{0,62}$"
#: The name of a node type: one token of a subject.
NODE_TYPE_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
#: What templates already give a meaning to.
RESERVED_NODE_KEYS = frozenset({"input", "nodes", "previous", "run", "env"})


def _check_sortable(value: UUID) -> UUID:
    if value.version != 7:
        raise ValueError("must be a UUIDv7, since runs are listed in the order of their ids")
    return value


#: An id of a run that somebody else chooses: UUIDs of version 7 begin with their time.
OwnRunId = Annotated[UUID, AfterValidator(_check_sortable)]

NodeKey = Annotated[str, Field(pattern=NODE_KEY_PATTERN)]
Slug = Annotated[str, Field(pattern=SLUG_PATTERN)]
NodeTypeName = Annotated[str, Field(pattern=NODE_TYPE_PATTERN)]


class Message(BaseModel):
    """A message on the bus. Unknown fields are ignored, so that a newer writer is understood.

    Adding an optional field keeps the version; anything else is a new class with a new version.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: ClassVar[str]
    version: ClassVar[int] = 1


class Document(BaseModel):
    """Something that a user writes: an unknown field is an error, so that a typing error is found.

    Numbers are finite: JSON has no others, and what is stored must be read again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TransferRef(BaseModel):
    """Where a body over the message limit lies in the object store `transfers`, and what it must be."""

    model_config = ConfigDict(frozen=True)

    object: str
    sha256: str
    size: int
