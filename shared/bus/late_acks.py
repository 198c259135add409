"""Acknowledges in groups, a moment later, what may come again without harm.

A stream whose last message leaves gives up its file and makes another. Where messages come one by one, that can cost
the server as much as all else it does for them: a file system may look for long for an inode that was not freed within
the last seconds (ext4: `recently_deleted`). Here a message leaves when others have come, and the file stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from nats.aio.msg import Msg

from shared.bus.pull import Pull
from shared.bus.wire import NOT_WRITTEN
from shared.errors import words_of
from shared.logging import get_logger

log = get_logger(__name__)

#: Each message waits for one to two of these.
TURN_S = 0.05


class LateAcks:
    """What is put here is acknowledged within two turns, while `run` runs; whoever ends earlier is given it again."""

    def __init__(self, pull: Pull) -> None:
        """Of messages of this pull."""
        self._pull = pull
        #: Of this turn, and of the one before.
        self._new: list[Msg] = []
        self._old: list[Msg] = []
        self._arrived = asyncio.Event()

    def put(self, messages: Iterable[Msg]) -> None:
        self._new += messages
        if self._new:
            self._arrived.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(TURN_S)
            due, self._old, self._new = self._old, self._new, []
            if not self._old:
                self._arrived.clear()
            self._acknowledge(due)

    def send(self) -> None:
        """Acknowledge all of it now."""
        due, self._old, self._new = self.waiting(), [], []
        self._acknowledge(due)

    def waiting(self) -> list[Msg]:
        """What is not acknowledged yet."""
        return [*self._old, *self._new]

    def _acknowledge(self, messages: Iterable[Msg]) -> None:
        try:
            self._pull.acknowledge(messages)
        except NOT_WRITTEN as error:
            log.warning("messages could not be acknowledged and come again", error=words_of(error))
