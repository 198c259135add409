"""What a coordinator tells of runs as spans: their starts, their ends, and batches with a link to each of theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind

from services.coordinator.decision import Decision
from services.coordinator.requests import StartRequest
from services.coordinator.state import Outcome, RunId
from services.coordinator.versions import RunFacts
from shared.contracts.states import RunStatus
from shared.tracing import begin, fail, is_traced, linked, traceparent_of, valid_traceparent


def begin_start(request: StartRequest) -> Span:
    """Of one run's start. Its nodes are traced under it, or as whoever asked for it said."""
    slug = request.graph.pipeline_slug if request.graph is not None else request.request.pipeline[:200]
    attributes = {"pipewright.run_id": request.run_id, "pipewright.pipeline": slug}
    span = begin(f"start {slug}", SpanKind.CONSUMER, valid_traceparent(request.request.traceparent), attributes)
    request.traceparent = traceparent_of(span)
    if request.refusal is not None:
        fail(span, request.refusal.problem.type)
    return span


@contextmanager
def settling(outcomes: Sequence[Outcome], facts: Mapping[RunId, RunFacts]) -> Iterator[None]:
    """One batch is work for many runs."""
    if not is_traced():
        yield
        return
    traceparents = {facts[outcome.run_id].traceparent for outcome in outcomes if outcome.run_id in facts}
    with linked("settle results", traceparents, {"pipewright.results": len(outcomes)}):
        yield


def tell_ends(decision: Decision, facts: Mapping[RunId, RunFacts]) -> None:
    """A span for each run that has ended, as long as it took."""
    if not is_traced():
        return
    for run_id, end in decision.ended.items():
        run = facts.get(run_id)
        if run is None or run.traceparent is None:
            continue
        slug, status = run.graph.pipeline_slug, end.run.status
        attributes = {"pipewright.run_id": run_id, "pipewright.pipeline": slug, "pipewright.status": status}
        span = begin(f"run {slug}", SpanKind.INTERNAL, run.traceparent, attributes, run.started_at)
        if status is RunStatus.FAILED:
            fail(span, str((end.error or {}).get("code", "failed")))
        span.end()
