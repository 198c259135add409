"""Checks what a node gives before it leaves the worker: it must be storable, and not too large."""

from __future__ import annotations

import math
from typing import Any

import orjson

from services.executors.kit.errors import PermanentNodeError
from shared.storable import DEPTH_LIMIT, TOO_DEEP, holds_zero_character

#: The most that an output may have; the coordinator holds the same limit.
OUTPUT_LIMIT = 16 * 1024 * 1024
#: What travels inside the result; more goes through `transfers`.
INLINE_LIMIT = 256 * 1024


def encode_output(output: dict[str, Any]) -> bytes:
    """The output as JSON; raises PermanentNodeError when Postgres could not store it or nobody could keep it."""
    _check(output, 0)
    try:
        body = orjson.dumps(output)
    except TypeError as error:
        raise _unstorable(f"something that is not JSON: {error}") from error
    if holds_zero_character(body):
        raise _unstorable("the character U+0000")
    if len(body) > OUTPUT_LIMIT:
        raise PermanentNodeError(
            "output_too_large",
            f"The output has {len(body)} bytes; at most {OUTPUT_LIMIT} can be kept. Let the node give less.",
        )
    return body


def _unstorable(what: str) -> PermanentNodeError:
    return PermanentNodeError("unstorable_output", f"The output holds {what}, which cannot be stored. Take it out.")


def _check(value: Any, depth: int) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _unstorable("a number that JSON does not know (NaN or infinity)")
    elif isinstance(value, dict | list | tuple):
        if depth > DEPTH_LIMIT:
            raise _unstorable(TOO_DEEP)
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, depth + 1)
