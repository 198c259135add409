"""What Postgres cannot store of JSON text."""

from __future__ import annotations

import re

#: U+0000 as JSON writes it: `\u0000` behind an even number of backslashes.
_ZERO = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def holds_zero_character(body: bytes) -> bool:
    """True for the character U+0000; not for text that merely spells its escape."""
    return b"\\u0000" in body and _ZERO.search(body) is not None
