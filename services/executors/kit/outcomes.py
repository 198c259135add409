"""The ways in which an attempt fails, as the plain values of a `Failed`; pure."""

from __future__ import annotations

from typing import Any

from services.executors.kit.errors import NodeError, TransientNodeError
from services.executors.kit.outputs import storable_text

Outcome = dict[str, Any]


def failed(error: NodeError) -> Outcome:
    """Its words may quote others, so they are made storable."""
    retry_after_s = error.retry_after_s if isinstance(error, TransientNodeError) else None
    outcome = _failure("failed", error.code, error.message, retryable=isinstance(error, TransientNodeError))
    return outcome if retry_after_s is None else outcome | {"retry_after_s": retry_after_s}


def timed_out(timeout_s: float) -> Outcome:
    message = f"The node did not end within its timeout_s of {timeout_s:g} s. Give it more time, or less to do."
    return _failure("timed_out", "timed_out", message, retryable=True)


def worker_died(deliveries: int) -> Outcome:
    """Retried, since workers that were stopped in time and handed it back count like those that it ended."""
    message = f"The work was delivered {deliveries} times, and every worker that took it died or was stopped."
    return _failure("worker_died", "worker_died", message, retryable=True)


def unreadable(reason: str) -> Outcome:
    """Sent again it would read the same."""
    message = f"The worker cannot read this work, which lies in DEAD_LETTERS: {reason}"
    return _failure("failed", "unreadable_work", message, retryable=False)


def internal_error(node_type: str) -> Outcome:
    message = f"The node type {node_type} has a fault. Its log says more."
    return _failure("failed", "internal_error", message, retryable=False)


def _failure(outcome: str, code: str, message: str, *, retryable: bool) -> Outcome:
    return {
        "status": "failed",
        "outcome": outcome,
        "error": {"code": storable_text(code), "message": storable_text(message)},
        "retryable": retryable,
    }
