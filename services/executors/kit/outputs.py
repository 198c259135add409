"""Checks what a node gives and says before it leaves the worker: it must be storable, and not too large."""

from __future__ import annotations

import math
from typing import Any

import orjson

from services.executors.kit.errors import PermanentNodeError
from shared.storable import CONTAINERS, DEPTH_LIMIT, OUTPUT_LIMIT, TOO_DEEP, holds_zero_character

#: Figures and words beside the output; with these bounds every result fits into one message.
METADATA_LIMIT = 16 * 1024
TEXT_LIMIT = 4000


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


def encode_metadata(metadata: dict[str, Any]) -> bytes:
    """The figures as JSON; those that could not be kept are left out, since the output counts without them."""
    try:
        body = encode_output(metadata)
    except PermanentNodeError as error:
        return orjson.dumps({"left_out": error.code})
    return body if len(body) <= METADATA_LIMIT else orjson.dumps({"left_out": "too_large"})


def storable_text(text: str) -> str:
    """Words for people, which may quote anything: without U+0000 and halves of characters, and not too long."""
    return text[:TEXT_LIMIT].replace("\x00", "\ufffd").encode(errors="replace").decode()


def _unstorable(what: str) -> PermanentNodeError:
    return PermanentNodeError("unstorable_output", f"The output holds {what}, which cannot be stored. Take it out.")


def _check(value: Any, depth: int) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _unstorable("a number that JSON does not know (NaN or infinity)")
    elif isinstance(value, CONTAINERS):
        if depth > DEPTH_LIMIT:
            raise _unstorable(TOO_DEEP)
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, depth + 1)
