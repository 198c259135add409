"""Waits for a condition, with a limit; no test waits for time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")

#: How often a condition that nothing announces is looked at.
LOOK_EVERY_S = 0.02


async def eventually(
    condition: Callable[[], Awaitable[Value] | Value], what: str = "the condition", timeout_s: float = 30.0
) -> Value:
    """The first true value that the condition gives; fails with `what` when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        value: Value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not hold within {timeout_s:g} s; last: {value!r}")
        await asyncio.sleep(LOOK_EVERY_S)
