"""API keys: what they may do, how one is wished for, and what is shown of it."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.message import Document, Time

#: Control characters would change what a terminal shows of the list.
NAME_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]+$"


class Scope(StrEnum):
    """What a key may do; `admin` includes all others."""

    PIPELINES_READ = "pipelines:read"
    PIPELINES_WRITE = "pipelines:write"
    RUNS_START = "runs:start"
    RUNS_READ = "runs:read"
    RUNS_CANCEL = "runs:cancel"
    ADMIN = "admin"


class NewApiKey(Document):
    """What a key is to be called, what it may do, and until when."""

    name: str = Field(min_length=1, max_length=200, pattern=NAME_PATTERN)
    scopes: frozenset[Scope] = Field(min_length=1)
    #: With its offset from UTC; left out, the key is good until it is revoked.
    expires_at: Time | None = None


class ApiKey(BaseModel):
    """A key as it is shown at any time: without the key."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str
    scopes: list[Scope]
    created_at: Time
    expires_at: Time | None = None
    revoked_at: Time | None = None
    #: Late by up to a minute.
    last_used_at: Time | None = None


class MadeApiKey(ApiKey):
    """A key as it is shown once, when it is made."""

    key: str


class ApiKeyPage(BaseModel):
    """One page of keys, newest first; `next_after` is null on the last."""

    keys: list[ApiKey]
    next_after: UUID | None = None
