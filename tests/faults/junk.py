"""Messages that are none, and everywhere that they can be sent."""

from __future__ import annotations

import re
from typing import get_args
from uuid import uuid4

from services.cli.channels import CHANNELS
from shared.contracts import subjects

DEEP = 2_000
JUNK = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"\x00",
    b'{"results": 1}',
    b'{"worker": "w", "results": [{}]}',
    b'{"worker": "w", "attempts": [{}]}',
    b'{"pipeline": "\\u0000", "input": {"a": "\\u0000"}}',
    b'{"pipeline": "none", "input": {"a": 1' + b"0" * 400 + b"}}",
    b'{"pipeline": "none", "input": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    b"[" * 100_000,
    # As large as the server takes.
    b"x" * 1_000_000,
)


def places() -> list[str]:
    """Every subject of ours, with what differs in it filled in."""
    parts = {
        "node_type": ["text", "http_request", "none"],
        "kind": list(get_args(subjects.RunEventKind)),
        "run_id": [str(uuid4())],
        "worker": ["junk"],
    }
    found = [subjects.ALL_ENDED_RUNS.replace("*", str(uuid4())), f"$KV.{subjects.ENDED_RUNS_BUCKET}.junk"]
    for channel in CHANNELS:
        if channel.kept == subjects.DEAD_LETTERS:
            continue
        filled = [channel.subject]
        for name in re.findall(r"\{(\w+)\}", channel.subject):
            filled = [subject.replace(f"{{{name}}}", value) for subject in filled for value in parts[name]]
        found += filled
    return found
