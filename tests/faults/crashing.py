"""A service that kills itself, as `kill -9` does, or freezes, when it reaches a named point for the nth time.

Run as `python -m tests.faults.crashing POINT COUNT SIGNAL`; the service itself knows nothing of it.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable
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
    "in the middle of a heartbeat": Point("http_request", "services.executors.kit.beats:Beats._lease"),
    "before fast work": Point("text", "services.executors.kit.attempt:Attempts.run_fast"),
    "after fast work, before its result": Point(
        "text", "services.executors.kit.attempt:Attempts.run_fast", is_after=True
    ),
    "before a model is asked": Point("llm", "services.executors.kit.attempt:Attempts.run"),
    "after a model's answer, before its result": Point(
        "llm", "services.executors.kit.result_publisher:ResultPublisher.put"
    ),
    "before a start is handed on": Point("gateway", "services.gateway.routes.runs:start_run"),
    "after a start's answer, before the client's": Point(
        "gateway", "services.gateway.routes.runs:start_run", is_after=True
    ),
    "before versions are looked up": Point(
        "definition", "services.definition.version_handlers:VersionHandlers.resolve"
    ),
    "after versions were looked up, before the answer": Point(
        "definition", "services.definition.version_handlers:VersionHandlers.resolve", is_after=True
    ),
}
SERVICES = ("coordinator", "definition", "gateway")


def arm(point: Point, count: int, number: signal.Signals) -> None:
    """From now on the nth call sends this signal to this process."""
    module_name, _, path = point.place.partition(":")
    owner: Any = import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    function = getattr(owner, name)
    strike = _on_call(count, number)
    wrap = _around_coroutine if inspect.iscoroutinefunction(function) else _around_function
    setattr(owner, name, wrap(function, strike, is_after=point.is_after))


def _on_call(count: int, number: signal.Signals) -> Callable[[], None]:
    """To be called with each call; the nth ends or freezes this process."""
    calls = 0

    def strike() -> None:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), number)

    return strike


def _around_function(function: Any, strike: Callable[[], None], *, is_after: bool) -> Any:
    @functools.wraps(function)
    def wrapped(*arguments: Any, **more: Any) -> Any:
        if not is_after:
            strike()
        result = function(*arguments, **more)
        if is_after:
            strike()
        return result

    return wrapped


def _around_coroutine(function: Any, strike: Callable[[], None], *, is_after: bool) -> Any:
    @functools.wraps(function)
    async def wrapped(*arguments: Any, **more: Any) -> Any:
        if not is_after:
            strike()
        result = await function(*arguments, **more)
        if is_after:
            strike()
        return result

    return wrapped


def main() -> None:
    point, count, number = POINTS[sys.argv[1]], int(sys.argv[2]), signal.Signals(int(sys.argv[3]))
    arm(point, count, number)
    is_worker = point.service not in SERVICES
    kind, types = ("worker", (point.service,)) if is_worker else (point.service, ())
    run_service_process(kind, types, on_ready=lambda: print(READY, flush=True))


if __name__ == "__main__":
    main()
