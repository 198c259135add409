"""What an API key is made of, and until when it may be good."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta

from shared.contracts.api_keys import NewApiKey
from shared.contracts.problems import FieldProblem
from shared.errors import InvalidError

PREFIX = "pw_"
RANDOM_BYTES = 32
#: What `token_urlsafe` makes of so many bytes.
KEY_SHAPE = re.compile(r"pw_[A-Za-z0-9_-]{43}")
#: A key for longer than this is one for ever, and better named so; also keeps times within what Postgres gives back.
LONGEST_DAYS = 3650


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
