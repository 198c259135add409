"""What a coordinator counts: once for each commit, and in batches."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping
from datetime import UTC, datetime

from prometheus_client import Counter, Gauge, Histogram

from services.coordinator.decision import Decision
from services.coordinator.state import RunId
from services.coordinator.versions import RunFacts
from shared.contracts.states import RunStatus
from shared.metrics import COARSE_BUCKETS, FINE_BUCKETS, Capped, HotHistogram

RUNS_STARTED = Counter("pipewright_runs_started", "Runs that were made, also those that are held")
STARTS_REFUSED = Counter("pipewright_starts_refused", "Start requests that were refused", ["reason"])
RUNS_ENDED = Counter("pipewright_runs_ended", "Runs that reached a final state", ["status"])
RUN_SECONDS = HotHistogram("pipewright_run_seconds", "From the start of a run to its end", ["status"], COARSE_BUCKETS)
RUNS_UNFINISHED = Gauge(
    "pipewright_runs_unfinished", "Runs in Postgres without a final state; every coordinator says the same", ["status"]
)
ATTEMPTS = Counter("pipewright_attempts", "Attempts that were settled", ["node_type", "outcome"])
RETRIES = Counter("pipewright_retries", "Attempts that will be tried again", ["node_type", "reason"])
RESULTS_IGNORED = Counter("pipewright_results_ignored", "Results that changed nothing: repeated or late", ["reason"])
RESULTS_FORGED = Counter("pipewright_results_forged", "Results whose token is not that of their attempt", ["node_type"])
SETTLE_SECONDS = Histogram(
    "pipewright_settle_seconds", "One transaction that settles a batch of results", buckets=FINE_BUCKETS
)
SETTLES_READ = Counter(
    "pipewright_settles_read", "Batches whose runs were read first: begun elsewhere, changed elsewhere, or said twice"
)
RESCUES = Counter("pipewright_rescues", "What the reconciler found standing still", ["kind"])
SWEEPS_FAILED = Counter("pipewright_sweeps_failed", "Sweeps of the reconciler that ended by an error")
OUTBOX_AGE = Gauge(
    "pipewright_outbox_age_seconds", "Age of the oldest result that is not settled and announced", ["node_type"]
)
WORK_AGE = Gauge("pipewright_work_age_seconds", "Age of the oldest work that is not done", ["node_type"])

#: Types and codes of workers from outside the tree are theirs to choose.
node_type_label = Capped(50)
reason_label = Capped(100)


def count(decision: Decision, facts: Mapping[RunId, RunFacts]) -> None:
    """After its commit, once."""
    attempts: Tally[tuple[str, str]] = Tally()
    for attempt in decision.attempts:
        attempts[decision.changes[attempt.run_id, attempt.node_key].node.node_type, attempt.outcome] += 1
    for (node_type, outcome), times in attempts.items():
        ATTEMPTS.labels(node_type_label(node_type), outcome).inc(times)
    for change in decision.changes.values():
        if change.retry_delay_s is not None:
            error = change.outcome.error if change.outcome is not None else None
            code = str((error or {}).get("code", "none"))
            RETRIES.labels(node_type_label(change.node.node_type), reason_label(code)).inc()
    for _, reason in decision.ignored:
        RESULTS_IGNORED.labels(reason).inc()
    now = datetime.now(UTC)
    for run_id, end in decision.ended.items():
        started_at = facts[run_id].started_at if run_id in facts else None
        if started_at is not None:
            RUN_SECONDS.labels(end.run.status).observe(max(0.0, (now - started_at).total_seconds()))
    for status, times in Tally(end.run.status for end in decision.ended.values()).items():
        count_ends(status, times)


def count_ends(status: RunStatus, times: int = 1) -> None:
    RUNS_ENDED.labels(status).inc(times)
