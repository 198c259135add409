"""Run events as they come, for those who listen: one subscription, kept while anybody does."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.bus.arrivals import subscribe
from shared.contracts import subjects

#: What a slow listener may be behind; what comes then is dropped, and the gap tells it to read the run again.
MOST_WAITING = 1000

#: What kind it is, and its body.
Heard = asyncio.Queue[tuple[str, dict[str, Any]]]


class Feed:
    """Hands `change` and `token` to the listeners of each run."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._listeners: dict[str, set[Heard]] = defaultdict(set)
        self._subscription: Subscription | None = None
        self._subscribing = asyncio.Lock()

    @asynccontextmanager
    async def listen(self, run_id: str) -> AsyncIterator[Heard]:
        """Whatever changes after an answer to a request that was sent within it, on the same connection, is heard:
        NATS takes the subscriptions before the request.
        """
        heard: Heard = asyncio.Queue(MOST_WAITING)

        async def on_token(message: Msg) -> None:
            _put(heard, "token", orjson.loads(message.data))

        tokens: Subscription | None = None
        self._listeners[run_id].add(heard)
        try:
            tokens = await self._client.subscribe(subjects.node_tokens(run_id), cb=on_token)
            await self._hear_events()
            yield heard
        finally:
            await self._leave(run_id, heard, tokens)

    @property
    def is_heard(self) -> bool:
        """Somebody listens."""
        return bool(self._listeners)

    async def _hear_events(self) -> None:
        async with self._subscribing:
            if self._subscription is None:
                self._subscription = await subscribe(self._client, subjects.ALL_RUN_EVENTS, self._on_event)

    async def _leave(self, run_id: str, heard: Heard, tokens: Subscription | None) -> None:
        """Whatever was made by then is ended; what cannot be told to NATS now ends with the connection."""
        self._listeners[run_id].discard(heard)
        if not self._listeners[run_id]:
            del self._listeners[run_id]
        subscription = self._subscription if not self._listeners else None
        if subscription is not None:
            self._subscription = None
        for one in filter(None, (tokens, subscription)):
            with suppress(nats.errors.Error):
                await one.unsubscribe()

    def _on_event(self, message: Msg) -> None:
        event = orjson.loads(message.data)
        for heard in self._listeners.get(event["run_id"], ()):
            _put(heard, "change", event)


def _put(heard: Heard, kind: str, body: dict[str, Any]) -> None:
    if not heard.full():
        heard.put_nowait((kind, body))
