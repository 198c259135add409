"""How many nodes of a type one run may have out at once, from what the workers announce."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

import nats.errors
import nats.js.errors
import orjson
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

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
#: nats-py leaves a watcher's consumer on the server, which forgets it after so long.
FORGET_S = 5.0


class Windows:
    """The windows of all types, read again every few seconds, and when one is missing.

    A wrong one costs time, never correctness.
    """

    def __init__(self, jetstream: JetStreamContext, fast: int) -> None:
        self._jetstream = jetstream
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
            except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
                log.warning("could not read the node types", error=words_of(error))
            await asyncio.sleep(SHORTEST_WAIT_S)
            await is_set_within(self._is_missing, READ_AGAIN_S)
            self._is_missing.clear()

    async def read(self) -> None:
        bucket = await self._jetstream.key_value(subjects.NODE_TYPES_BUCKET)
        slots: dict[str, int] = defaultdict(int)
        fast: set[str] = set()
        for node_type, count, is_fast in await self._announcements(bucket):
            slots[node_type] += count
            if is_fast:
                fast.add(node_type)
        self._sizes |= {
            kind: self._fast if kind in fast else max(UNKNOWN_WINDOW // 4, ROUNDS * count)
            for kind, count in slots.items()
        }

    async def _announcements(self, bucket: KeyValue) -> list[tuple[str, int, bool]]:
        """Type, slots and speed of every worker; what cannot be read is the definition service's to park."""
        found = []
        watcher = await bucket.watchall(ignore_deletes=True, inactive_threshold=FORGET_S)
        try:
            async for entry in watcher:
                if entry is None:
                    break
                with suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                    value = orjson.loads(entry.value)
                    found.append((str(value["node_type"]), int(value["slots"]), bool(value.get("is_fast"))))
        finally:
            await watcher.stop()  # type: ignore[no-untyped-call]  # nats-py names no types here
        return found
