"""Asked once more before a request leaves: this process may have been frozen since its work began.

Between the beginning of an attempt and its request lie its templates, its checks and its turn among all others: some
milliseconds, and as long again as the process was frozen meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: False when the run has ended.
IsWanted = Callable[[], Awaitable[bool]]

_is_wanted: ContextVar[IsWanted | None] = ContextVar("is_wanted", default=None)


@contextmanager
def asking(is_wanted: IsWanted) -> Iterator[None]:
    """What this task does meanwhile is done for one attempt."""
    token = _is_wanted.set(is_wanted)
    try:
        yield
    finally:
        _is_wanted.reset(token)


async def check_wanted() -> None:
    """Ends the task, as a cancel does, when nobody wants its work any more; nothing where no attempt is made."""
    is_wanted = _is_wanted.get()
    if is_wanted is not None and not await is_wanted():
        raise asyncio.CancelledError("its run has ended")
