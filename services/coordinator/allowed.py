"""What may be done to a run in which state: one table, and the refusal that tells of it; pure."""

from __future__ import annotations

from services.coordinator.state import RunId
from shared.contracts.states import RunStatus
from shared.errors import ConflictError

#: Action -> the states it is allowed from, and the state that it leads to (`retry` makes a new run).
ACTIONS: dict[str, tuple[frozenset[RunStatus], RunStatus]] = {
    "start": (frozenset({RunStatus.PENDING}), RunStatus.RUNNING),
    "complete": (frozenset({RunStatus.PENDING, RunStatus.RUNNING}), RunStatus.COMPLETED),
    "fail": (frozenset({RunStatus.PENDING, RunStatus.RUNNING}), RunStatus.FAILED),
    "cancel": (frozenset({RunStatus.PENDING, RunStatus.RUNNING}), RunStatus.CANCELLED),
    "retry": (frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED}), RunStatus.RUNNING),
}


def check_allowed(action: str, run_id: RunId, status: RunStatus) -> None:
    """Raises ConflictError with the state that the run is in and what is allowed from there."""
    if status in ACTIONS[action][0]:
        return
    allowed = tuple(name for name, (states, _) in ACTIONS.items() if status in states)
    raise ConflictError(
        "transition_not_allowed",
        f"Run {run_id} is {status}; '{action}' is not possible from there. Possible are: {', '.join(allowed)}.",
        state=status,
        allowed=allowed,
    )
