"""Traces by OpenTelemetry: one for each run, from its request to what its nodes call.

Off unless `start` was called with a collector; then every span here is one that does nothing. What carries a trace
from one service to the next is the text of W3C Trace Context (www.w3.org/TR/trace-context), `traceparent`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NoOpTracer, Span, SpanContext, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.settings import CommonSettings, SettingsError, describe

TRACEPARENT = "traceparent"
_FORM = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_PROPAGATOR = TraceContextTextMapPropagator()
#: A collector that is slow or away keeps no service from ending.
FLUSH_MS = 3000

Attributes = Mapping[str, str | int]


class _Tracing:
    """Of this process."""

    def __init__(self) -> None:
        self.tracer: Tracer = NoOpTracer()
        self.is_on = False


_tracing = _Tracing()


@contextmanager
def tracing(service: str, settings: CommonSettings) -> Iterator[None]:
    """Sends spans to the collector of the settings while it is entered; nothing without one.

    Raises SettingsError when what sends them is not installed.
    """
    if not settings.otlp_endpoint:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        words = "needs what sends traces: pip install 'pipewright[traces]'"
        raise SettingsError(describe(type(settings), "otlp_endpoint", words)) from None
    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
    provider = TracerProvider(resource=Resource.create({"service.name": f"pipewright-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracing.tracer, _tracing.is_on = provider.get_tracer("pipewright"), True
    try:
        yield
    finally:
        _tracing.tracer, _tracing.is_on = NoOpTracer(), False
        provider.force_flush(FLUSH_MS)
        provider.shutdown()


def is_traced() -> bool:
    """Whether spans go anywhere; for what would cost something just to describe."""
    return _tracing.is_on


def begin(
    name: str, kind: SpanKind, traceparent: str | None, attributes: Attributes, at: datetime | None = None
) -> Span:
    """A span under the one that `traceparent` names, or a trace of its own; ended by whoever began it."""
    began = int(at.timestamp() * 1e9) if at is not None else None
    return _tracing.tracer.start_span(name, _context(traceparent), kind, dict(attributes), start_time=began)


@contextmanager
def within(span: Span) -> Iterator[None]:
    """What happens here belongs to the span; ends it."""
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield


@contextmanager
def linked(name: str, traceparents: Iterable[str | None], attributes: Attributes) -> Iterator[None]:
    """A span of what is done for several runs at once: a trace of its own with a link to each of theirs."""
    links = [Link(context) for one in traceparents if (context := _span_context(one)).is_valid]
    with _tracing.tracer.start_as_current_span(name, Context(), attributes=dict(attributes), links=links):
        yield


def fail(span: Span, code: str) -> None:
    span.set_status(Status(StatusCode.ERROR, code))


def traceparent_of(span: Span) -> str | None:
    """What others name it by; None for a span that does nothing."""
    if not span.get_span_context().is_valid:
        return None
    return _text(trace.set_span_in_context(span, Context()))


def current_traceparent() -> str | None:
    return _text(None)


def valid_traceparent(text: str | None) -> str | None:
    """The text when it has the form; anything else is no reason to refuse what came with it."""
    return text if text is not None and _FORM.fullmatch(text) else None


def _text(context: Context | None) -> str | None:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context)
    return carrier.get(TRACEPARENT)


def _context(traceparent: str | None) -> Context | None:
    """None is the present context."""
    return _PROPAGATOR.extract({TRACEPARENT: traceparent}, Context()) if traceparent is not None else None


def _span_context(traceparent: str | None) -> SpanContext:
    context = _context(traceparent) if traceparent is not None else Context()
    return trace.get_current_span(context).get_span_context()
