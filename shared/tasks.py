"""Loops that run as long as their service; one that ends by an error ends the process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Any

from shared.logging import get_logger

log = get_logger(__name__)

#: A task that is not over so long after it was cancelled is cancelled again.
CANCEL_AGAIN_S = 0.25


class Tasks:
    """Runs these loops while it is entered.

    A loop handles what it expects; anything else is a bug, and a process that half works is worse than one
    that its supervisor starts anew.
    """

    def __init__(self, loops: Sequence[Coroutine[Any, Any, None]]) -> None:
        self._loops = loops
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> None:
        self._tasks = [asyncio.create_task(loop) for loop in self._loops]
        for task in self._tasks:
            task.add_done_callback(_end_on_error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end(self._tasks)


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel these tasks and wait until they are over, also when whoever waits is cancelled: nobody else knows them.

    Python 3.11's `wait_for` swallows a cancellation that comes together with its result (python/cpython#86296),
    so a task that goes on is cancelled again.
    """
    pending = set(tasks)
    cancelled: asyncio.CancelledError | None = None
    while pending:
        for task in pending:
            task.cancel()
        try:
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def told_to_stop() -> asyncio.Event:
    """Set at SIGTERM or SIGINT, which end this process no more by themselves."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


async def is_set_within(event: asyncio.Event, limit_s: float) -> bool:
    """Wait until it is set, and no longer than so many seconds; False when it was not."""
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


def watched(loop: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that ends the process when it fails."""
    task = asyncio.create_task(loop)
    task.add_done_callback(_end_on_error)
    return task


def logged(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task whose failure is told, and harms nobody else: what it left undone, others find."""
    task = asyncio.create_task(work)
    task.add_done_callback(_log_error)
    return task


def _log_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a task failed", exc_info=error)


def _end_on_error(task: asyncio.Task[None]) -> None:
    """An exit that was asked for ends the process by itself."""
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, SystemExit):
        log.error("a loop failed; ending this process to be started anew", exc_info=error)
        os._exit(70)
