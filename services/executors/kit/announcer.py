"""Tells what this worker serves: at start, every 30 s, and on a clean stop that it serves no more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from shared.bus.pull import is_durable_there
from shared.contracts import subjects
from shared.contracts.nodes import NodeTypeAnnounced
from shared.errors import words_of
from shared.logging import get_logger

log = get_logger(__name__)

ANNOUNCE_S = 30.0
#: How often a worker looks whether the definition service has accepted its type.
LOOK_S = 0.05
#: What marks a key of a bucket as deleted.
DELETED = {"KV-Operation": "DEL"}


class Announcer:
    """Keeps the announcements of one worker in the bucket `node_types`."""

    def __init__(self, client: Client, announcements: Sequence[NodeTypeAnnounced]) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=5)
        self._announcements = announcements

    async def announce(self) -> None:
        for announced in self._announcements:
            await self._jetstream.publish(_subject(announced), announced.model_dump_json().encode())

    async def keep_announcing(self) -> None:
        while True:
            await asyncio.sleep(ANNOUNCE_S)
            try:
                await self.announce()
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
                log.warning("could not announce", error=words_of(error))

    async def take_back(self) -> None:
        with suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
            for announced in self._announcements:
                await self._jetstream.publish(_subject(announced), headers=DELETED)

    async def wait_until_accepted(self, node_type: str) -> None:
        """Until the durable of this type is there; the definition service makes it when it accepts the type."""
        looks = 0
        while not await is_durable_there(self._client, subjects.NODE_WORK, node_type):
            looks += 1
            if looks % 100 == 0:
                log.warning("waiting for the definition service to accept this type", node_type=node_type)
            await asyncio.sleep(LOOK_S)


def _subject(announced: NodeTypeAnnounced) -> str:
    return subjects.announcement(announced.node_type, announced.worker)
