"""A service that kills itself, as `kill -9` does, when it reaches a named point for the nth time.

Run as `python -m tests.faults.crashing SERVICE POINT COUNT`; the service itself knows nothing of it.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from services.cli.services import run_service_process

READY = "ready"


@dataclass(frozen=True)
class Point:
    """Before or after a call of `place`, which is `module:name` or `module:Class.name`."""

    service: str
    place: str
    is_after: bool = False


POINTS = {
    "before the commit": Point("coordinator", "services.coordinator.settler:Settler.store", is_after=True),
    "after the commit, before publishing": Point("coordinator", "services.coordinator.settler:Settler.announce"),
    "after publishing, before the acknowledgement": Point(
        "coordinator", "services.coordinator.settler:Settler.announce", is_after=True
    ),
    "after a start's commit, before publishing": Point("coordinator", "services.coordinator.starter:Starter._announce"),
    "after a start's commit, before the answer": Point(
        "coordinator", "services.coordinator.handlers:RunHandlers.start", is_after=True
    ),
    "before a request's acknowledgement": Point("coordinator", "services.coordinator.request_loop:RequestLoop._finish"),
    "before leases are extended": Point("coordinator", "services.coordinator.leases:extend_leases"),
    "before the work": Point("http_request", "services.executors.kit.attempt:Attempts.run"),
    "after the work, before its result": Point(
        "http_request", "services.executors.kit.result_publisher:ResultPublisher.put"
    ),
    "after its result, before the acknowledgement": Point(
        "http_request", "services.executors.kit.result_publisher:ResultPublisher._publish", is_after=True
    ),
    "in the middle of a heartbeat": Point("http_request", "services.executors.kit.beats:Beats._beat"),
}


def arm(point: Point, count: int) -> None:
    """From now on the nth call ends this process."""
    module_name, _, path = point.place.partition(":")
    owner: Any = import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, name, _counting(getattr(owner, name), count, is_after=point.is_after))


def _counting(function: Any, count: int, *, is_after: bool) -> Any:
    calls = 0

    def is_due() -> bool:
        nonlocal calls
        calls += 1
        return calls >= count

    if not inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        def plain(*arguments: Any, **more: Any) -> Any:
            if is_due():
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)

        return plain

    @functools.wraps(function)
    async def wrapped(*arguments: Any, **more: Any) -> Any:
        due = is_due()
        if due and not is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = await function(*arguments, **more)
        if due:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


def main() -> None:
    point, count = POINTS[sys.argv[1]], int(sys.argv[2])
    arm(point, count)
    kind, types = ("coordinator", ()) if point.service == "coordinator" else ("worker", (point.service,))
    run_service_process(kind, types, on_ready=lambda: print(READY, flush=True))


if __name__ == "__main__":
    main()
