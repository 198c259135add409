"""What was sent to a collector of OpenTelemetry: spans by OTLP over HTTP.

The protocol: opentelemetry.io/docs/specs/otlp, binary protobuf encoding.
"""

from __future__ import annotations

from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.http_server import Server


@dataclass(frozen=True)
class Span:
    """One span as it was sent."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    seconds: float
    attributes: dict[str, str | int]
    #: The trace ids that it links to.
    links: frozenset[str]
    is_error: bool


def spans_of(server: Server) -> list[Span]:
    """All that were sent to it."""
    found = []
    for request in server.requests:
        sent = ExportTraceServiceRequest.FromString(request.body)
        for resource in sent.resource_spans:
            service = {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"]
            found += [_read(service, span) for scope in resource.scope_spans for span in scope.spans]
    return found


def _read(service: str, span: trace_pb2.Span) -> Span:
    return Span(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        attributes={one.key: one.value.string_value or one.value.int_value for one in span.attributes},
        links=frozenset(link.trace_id.hex() for link in span.links),
        is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
    )
