"""Time and ids, passed in wherever they are needed, so that a test can choose them."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """Tells the time, in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562, section 5.7): milliseconds since 1970, then 74 random bits; sorts by time."""
    return _uuid7(time.time_ns(), os.urandom(10))


def id_of(sent_at_ns: int, name: str) -> UUID:
    """The UUIDv7 of something that happened then: the same for the same name, however often it is asked for."""
    return _uuid7(sent_at_ns, hashlib.sha256(f"{sent_at_ns}:{name}".encode()).digest()[:10])


def _uuid7(time_ns: int, random: bytes) -> UUID:
    value = (time_ns // 1_000_000 << 80) | int.from_bytes(random, "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)
