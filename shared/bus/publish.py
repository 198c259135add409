"""Publishing to streams: many messages in flight, their acknowledgements awaited as a group."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.arrivals import subscribe
from shared.bus.wire import AROUND, command, write
from shared.errors import words_of
from shared.logging import get_logger

log = get_logger(__name__)

#: What was refused is sent again after so long.
AGAIN_S = 0.25
#: The server drops a second message with the same id; deduplication is a help, never a promise.
MESSAGE_ID = "Nats-Msg-Id"


class Outgoing(NamedTuple):
    """A message for a stream."""

    subject: str
    body: bytes
    message_id: str | None = None


class _Group:
    """What has not been answered, and what was refused; `answered` is set when all have been answered."""

    __slots__ = ("answer", "answered", "refused", "waiting")

    def __init__(self, indices: Iterable[int]) -> None:
        self.waiting = set(indices)
        self.refused: set[int] = set()
        self.answer = ""
        self.answered = asyncio.Event()
        if not self.waiting:
            self.answered.set()


class Publisher:
    """Publishes in groups; what was not acknowledged in time is returned, and may be stored all the same."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._prefix = client.new_inbox()
        self._groups: dict[str, _Group] = {}
        self._next = 0

    @property
    def most_bytes(self) -> int:
        """Of one body, by the server's word."""
        return self._client.max_payload - AROUND

    async def start(self) -> None:
        await subscribe(self._client, f"{self._prefix}.*.*", self._on_answer)

    async def publish(self, messages: Sequence[Outgoing], timeout_s: float = 5.0) -> list[Outgoing]:
        """Publish all, wait for all acknowledgements; returns those that are not acknowledged.

        What is refused, as it is while a cluster elects a leader, is sent again until the time is over. What is larger
        than the server takes is not sent at all.
        """
        if not messages:
            return []
        self._next += 1
        most = self.most_bytes
        large = {index for index, message in enumerate(messages) if len(message.body) > most}
        if large:
            log.error("messages are larger than NATS takes; raise its max_payload to 1MB", count=len(large))
        name, group = str(self._next), _Group(set(range(len(messages))) - large)
        self._groups[name] = group
        try:
            async with asyncio.timeout(timeout_s):
                await self._send(name, messages, sorted(group.waiting))
                await group.answered.wait()
                if group.refused:
                    log.warning("a stream refused messages", count=len(group.refused), answer=group.answer)
                while group.refused:
                    await asyncio.sleep(AGAIN_S)
                    group.waiting, group.refused = group.refused, set()
                    group.answered.clear()
                    await self._send(name, messages, sorted(group.waiting))
                    await group.answered.wait()
        except TimeoutError:
            log.warning("messages were not acknowledged in time", count=len(group.waiting | group.refused))
        except nats.errors.Error as error:
            log.warning("messages could not be sent", count=len(group.waiting | group.refused), error=words_of(error))
        finally:
            del self._groups[name]
        return [messages[index] for index in sorted(large | group.waiting | group.refused)]

    async def _send(self, name: str, messages: Sequence[Outgoing], indices: Sequence[int]) -> None:
        inbox = f"{self._prefix}.{name}"
        commands = []
        for index in indices:
            message = messages[index]
            headers = {MESSAGE_ID: message.message_id} if message.message_id else None
            commands.append(command(message.subject, message.body, f"{inbox}.{index}", headers))
        await write(self._client, commands)

    def _on_answer(self, message: Msg) -> None:
        _, name, index = message.subject.rsplit(".", 2)
        group = self._groups.get(name)
        if group is None:
            return
        group.waiting.discard(int(index))
        if b'"error"' in message.data or not message.data:
            group.refused.add(int(index))
            group.answer = message.data.decode(errors="replace")[:300] or "no stream listens there"
        if not group.waiting:
            group.answered.set()
