"""Messages that can be read and not be stored: from a start that anybody may send, or a worker that has gone bad."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from tests.e2e.graphs import Document, fetch, pipeline

#: The pipeline whose runs get bad results; how they end is open, that they end is not.
VICTIM = "victim"
DEEP = 300
NESTED = b'{"a":' * DEEP + b"1" + b"}" * DEEP
HUGE = b"1" + b"0" * 60


def victim(ledger_url: str) -> Document:
    """Long enough that whoever answers at once is the first; it is not tried again, however late it is asked to be."""
    return pipeline(VICTIM, [fetch("only", f"{ledger_url}/nap/1/victim", timeout_s=10, retry={"max_attempts": 1})])


def bad_results() -> list[Callable[[dict[str, object]], bytes]]:
    """Each makes the message of a worker from the work that it was given."""
    bad: list[tuple[bytes, bytes, bytes]] = [
        (b'{"status":"completed","output":{"text":"\\u0000"}}', b"{}", b"w"),
        (b'{"status":"completed","output":{"n":' + HUGE + b"}}", b"{}", b"w"),
        (b'{"status":"completed","output":' + NESTED + b"}", b"{}", b"w"),
        (b'{"status":"completed","output":{}}', b'{"cost":"\\u0000"}', b"w"),
        (b'{"status":"completed","output":{}}', b'{"cost":' + HUGE + b"}", b"w"),
        (b'{"status":"completed","output":{}}', NESTED, b"w"),
        (b'{"status":"completed","output":{}}', b"{}", b"w\\u0000"),
        (_failed(b"it said \\u0000"), b"{}", b"w"),
        (_failed(b"x" * 200_000), b"{}", b"w"),
        (_failed(b"later", b',"retry_after_s":1e300'), b"{}", b"w"),
        (_failed(b"earlier", b',"retry_after_s":-1e300'), b"{}", b"w"),
    ]
    return [lambda ready, parts=parts: _finished(ready, *parts) for parts in bad]


def bad_starts() -> list[bytes]:
    return [
        b'{"pipeline":"victim","input":{"a":"\\u0000"}}',
        b'{"pipeline":"victim","input":{"a":' + HUGE + b"}}",
        b'{"pipeline":"victim","input":' + NESTED + b"}",
        b'{"pipeline":"victim\\u0000","input":{}}',
        b'{"pipeline":"victim","input":{},"idempotency_key":"\\u0000"}',
        b'{"pipeline":"victim","input":{},"traceparent":"\\u0000"}',
    ]


def _failed(message: bytes, more: bytes = b"") -> bytes:
    return b'{"status":"failed","error":{"code":"bad","message":"' + message + b'"},"retryable":true' + more + b"}"


def _finished(ready: dict[str, object], outcome: bytes, metadata: bytes, worker: bytes) -> bytes:
    names = ("run_id", "node_key", "attempt", "token")
    at = datetime.now(UTC)
    head = orjson.dumps({name: ready[name] for name in names} | {"started_at": at, "finished_at": at})[:-1]
    result = head + b',"outcome":' + outcome + b',"metadata":' + metadata + b"}"
    return b'{"worker":"' + worker + b'","results":[' + result + b"]}"
