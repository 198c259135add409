"""Lets many pass at once, and none while it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Whoever closes it has it to itself: all that were passing are through by then."""

    def __init__(self) -> None:
        self._passing = 0
        self._change = asyncio.Condition()
        self._is_closed = False

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        async with self._change:
            await self._change.wait_for(lambda: not self._is_closed)
            self._passing += 1
        try:
            yield
        finally:
            async with self._change:
                self._passing -= 1
                self._change.notify_all()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        async with self._change:
            await self._change.wait_for(lambda: not self._is_closed)
            self._is_closed = True
            await self._change.wait_for(lambda: not self._passing)
        try:
            yield
        finally:
            async with self._change:
                self._is_closed = False
                self._change.notify_all()
