"""What Postgres cannot store of JSON, and what JSON our services cannot write any more."""

from __future__ import annotations

import re
from typing import Any

import orjson

#: Lists and objects inside each other; messages around them add some, and orjson writes at most 254.
DEPTH_LIMIT = 100
_ORJSON_DEPTH = 254

#: U+0000 as JSON writes it: `\u0000` behind an even number of backslashes.
_ZERO = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def holds_zero_character(body: bytes) -> bool:
    """True for the character U+0000; not for text that merely spells its escape."""
    return b"\\u0000" in body and _ZERO.search(body) is not None


def may_be_unstorable(body: bytes) -> bool:
    """False for most JSON, at the cost of counting its brackets; `storable_problem` knows for sure."""
    return b"\\u0000" in body or body.count(b"[") + body.count(b"{") > DEPTH_LIMIT


def storable_problem(value: Any) -> str | None:
    """Why this value, read from JSON, cannot be kept and sent on; None when it can."""
    for _ in range(_ORJSON_DEPTH - DEPTH_LIMIT):
        value = [value]
    try:
        body = orjson.dumps(value)
    except TypeError:
        # What was read from JSON has no other fault than its depth, or an integer that another reader let through.
        return f"more than {DEPTH_LIMIT} lists and objects inside each other, or a number over 64 bits"
    return "the character U+0000" if holds_zero_character(body) else None
