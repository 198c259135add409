"""What of JSON can be stored and passed on: not U+0000, not what is too deep for readers and writers or too large."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from shared.contracts.problems import escape

#: Lists and objects inside the outermost one. Messages around a value add some; readers stop at about 200 and
#: writers at about 250, so that what is deeper could be taken and never be handed on.
DEPTH_LIMIT = 100
TOO_DEEP = f"more than {DEPTH_LIMIT} lists and objects inside each other"

#: The most that the output of a node may have, in bytes.
OUTPUT_LIMIT = 16 * 1024 * 1024
#: Of all outputs that one node refers to; whoever makes, carries and reads them holds them several times.
INPUTS_LIMIT = 64 * 1024 * 1024
#: What of it travels inside a message and lies in its row; more goes through `transfers`, and into `runs.payloads`.
INLINE_LIMIT = 256 * 1024

#: What holds other values. Made once: written out as a union, it would be made for every value that is looked at.
CONTAINERS = (dict, list, tuple)

#: U+0000 as JSON writes it: `\u0000` behind an even number of backslashes.
_ZERO = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def holds_zero_character(body: bytes) -> bool:
    """True for the character U+0000; not for text that merely spells its escape."""
    return b"\\u0000" in body and _ZERO.search(body) is not None


def is_too_deep(value: Any) -> bool:
    """True for what has more than DEPTH_LIMIT lists and objects inside each other; looks at each once."""
    level = [value] if isinstance(value, CONTAINERS) else []
    for _ in range(DEPTH_LIMIT + 1):
        if not level:
            return False
        level = [
            item
            for around in level
            for item in (around.values() if isinstance(around, dict) else around)
            if isinstance(item, CONTAINERS)
        ]
    return bool(level)


def fault_of(value: Any) -> str | None:
    """What keeps a value that was read as JSON from being written again and kept; None when nothing does."""
    if is_too_deep(value):
        return TOO_DEEP
    try:
        body = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        return f"something that cannot be passed on: {error}"
    return "the character U+0000" if holds_zero_character(body) else None


def zero_places(value: Any, place: str = "") -> Iterator[str]:
    """JSON pointers to the texts, and around the keys, that hold U+0000. For values that are not too deep."""
    if isinstance(value, str) and "\x00" in value:
        yield place
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from zero_places(item, f"{place}/{index}")
    elif isinstance(value, dict):
        for key, item in value.items():
            if "\x00" in key:
                yield place
            yield from zero_places(item, f"{place}/{escape(key)}")


def without_zero_character(text: str) -> str:
    """Of a name that is told in a refusal: the character becomes the one for what cannot be shown."""
    return text.replace("\x00", "\ufffd")


def may_be_unstorable(body: bytes, beside: int = 0) -> bool:
    """False for most JSON, at the cost of counting its brackets, of which at least `beside` are not around the deepest
    value; `fault_of` knows for sure."""
    return b"\\u0000" in body or body.count(b"[") + body.count(b"{") > DEPTH_LIMIT + beside
