"""What a worker tells of attempts, and of what they call, as spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import httpx
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from shared.contracts.nodes import NodeReady
from shared.tracing import TRACEPARENT, Attributes, begin, fail, is_traced, traceparent_of, within

_UNTRACED = nullcontext()


def attempting(ready: NodeReady) -> AbstractContextManager[None]:
    """One attempt, under its run's span; what is called meanwhile stands under it."""
    return _attempting(ready) if is_traced() else _UNTRACED


@contextmanager
def _attempting(ready: NodeReady) -> Iterator[None]:
    attributes: Attributes = {
        "pipewright.run_id": ready.run_id,
        "pipewright.node_key": ready.node_key,
        "pipewright.node_type": ready.node_type,
        "pipewright.attempt": ready.attempt,
    }
    with within(begin(f"{ready.node_type} {ready.node_key}", SpanKind.CONSUMER, ready.traceparent, attributes)):
        yield


def tell_failure(outcome: Mapping[str, Any]) -> None:
    """The code alone; the words stand in the run, for who may read it."""
    if is_traced() and outcome["status"] == "failed":
        fail(trace.get_current_span(), outcome["error"]["code"])


@contextmanager
def calling(request: httpx.Request) -> Iterator[Span | None]:
    """A request to others, who are told of the span unless the node says something of its own.

    Its path and query stay untold: whoever writes a pipeline may put secrets there.
    """
    if not is_traced():
        yield None
        return
    attributes = {"http.request.method": request.method, "server.address": request.url.host}
    span = begin(request.method, SpanKind.CLIENT, None, attributes)
    if (traceparent := traceparent_of(span)) is not None:
        request.headers.setdefault(TRACEPARENT, traceparent)
    with within(span):
        try:
            yield span
        except Exception as error:
            fail(span, type(error).__name__)
            raise
