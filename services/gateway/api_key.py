"""What an API key is: how it is wished for, how it is made, and what is shown of it."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.access import Scope
from shared.contracts.message import Document, Time
from shared.contracts.problems import FieldProblem
from shared.errors import InvalidError

PREFIX = "pw_"
RANDOM_BYTES = 32
#: What `token_urlsafe` makes of so many bytes.
KEY_SHAPE = re.compile(r"pw_[A-Za-z0-9_-]{43}")
#: A key for longer than this is one for ever, and better named so; also keeps times within what Postgres gives back.
LONGEST_DAYS = 3650
#: Control characters would change what a terminal shows of the list.
NAME_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]+$"


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
    """One page of keys, newest first; `next_after` is None on the last."""

    keys: list[ApiKey]
    next_after: UUID | None = None


def new_secret() -> str:
    """A key that nobody can guess."""
    return f"{PREFIX}{secrets.token_urlsafe(RANDOM_BYTES)}"


def has_shape_of_key(text: str) -> bool:
    """Whether it may be one of ours; what cannot be is refused without asking Postgres."""
    return KEY_SHAPE.fullmatch(text) is not None


def digest_of(secret: str) -> bytes:
    """All that is kept of a key."""
    return hashlib.sha256(secret.encode()).digest()


def check_expiry(wanted: NewApiKey, now: datetime) -> None:
    """Raises InvalidError when it would be over already, or is too far away."""
    if wanted.expires_at is None:
        return
    if wanted.expires_at <= now:
        raise _wrong_expiry("is over already. Send a time to come, or none for a key that does not expire")
    if wanted.expires_at > now + timedelta(days=LONGEST_DAYS):
        raise _wrong_expiry(f"is more than {LONGEST_DAYS} days away. Send none for a key that does not expire")


def _wrong_expiry(words: str) -> InvalidError:
    finding = FieldProblem(pointer="/expires_at", detail=words)
    return InvalidError("invalid_body", f"{finding.pointer}: {words}.", [finding])
