"""How many nodes of a type one run may have out at once, from what the workers announce."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

import nats.errors
import orjson
from nats.aio.client import Client

from shared.bus.direct import read_stream
from shared.contracts import subjects
from shared.errors import words_of
from shared.logging import get_logger
from shared.tasks import is_set_within

log = get_logger(__name__)

#: While no worker of a type is known: enough to keep the first one busy.
UNKNOWN_WINDOW = 8
#: Slots of a slow type that are filled from one run: one round at work, one round waiting behind it.
ROUNDS = 2
READ_AGAIN_S = 5.0
#: A type that no worker announces is looked for no more often.
SHORTEST_WAIT_S = 0.25


class Windows:
    """The windows of all types, read again every few seconds, and when one is missing.

    A wrong one costs time, never correctness.
    """

    def __init__(self, client: Client, fast: int) -> None:
        self._client = client
        self._fast = fast
        self._sizes: dict[str, int] = {}
        #: Set when a type is asked for that was not there when the bucket was read.
        self._is_missing = asyncio.Event()

    def of(self, node_type: str) -> int:
        size = self._sizes.get(node_type)
        if size is None:
            self._is_missing.set()
            return UNKNOWN_WINDOW
        return size

    def sizes(self) -> dict[str, int]:
        """The windows of all types with workers, now or before."""
        return dict(self._sizes)

    async def keep_reading(self) -> None:
        while True:
            try:
                await self.read()
            except (nats.errors.Error, TimeoutError) as error:
                log.warning("could not read the node types", error=words_of(error))
            await asyncio.sleep(SHORTEST_WAIT_S)
            await is_set_within(self._is_missing, READ_AGAIN_S)
            self._is_missing.clear()

    async def read(self) -> None:
        slots: dict[str, int] = defaultdict(int)
        fast: set[str] = set()
        for node_type, count, is_fast in await self._announcements():
            slots[node_type] += count
            if is_fast:
                fast.add(node_type)
        self._sizes |= {
            kind: self._fast if kind in fast else max(UNKNOWN_WINDOW // 4, ROUNDS * count)
            for kind, count in slots.items()
        }

    async def _announcements(self) -> list[tuple[str, int, bool]]:
        """Type, slots and speed of every worker; what cannot be read is the definition service's to park."""
        found = []
        async for message in read_stream(self._client, subjects.NODE_TYPES_STREAM, subjects.ALL_ANNOUNCEMENTS):
            # One that was taken back is empty.
            with suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                value = orjson.loads(message.data)
                found.append((str(value["node_type"]), int(value["slots"]), bool(value.get("is_fast"))))
        return found
