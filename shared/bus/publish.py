"""Publishing to streams: many messages in flight, their acknowledgements awaited as a group."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.arrivals import subscribe
from shared.bus.wire import AROUND, NOT_WRITTEN, command, write
from shared.errors import words_of
from shared.logging import get_logger

log = get_logger(__name__)

#: An acknowledgement is waited for no longer, unless it is said.
TIMEOUT_S = 5.0
#: What was refused is sent again after so long.
AGAIN_S = 0.25
#: The server drops a second message with the same id; deduplication is a help, never a promise.
MESSAGE_ID = "Nats-Msg-Id"


class Outgoing(NamedTuple):
    """A message for a stream."""

    subject: str
    body: bytes
    message_id: str | None = None


class Sending:
    """Messages that are on their way to their streams; `answered` is set when nothing more is waited for."""

    __slots__ = ("answer", "answered", "large", "messages", "name", "refused", "waiting")

    def __init__(self, name: str, messages: Sequence[Outgoing], most_bytes: int) -> None:
        self.name = name
        self.messages = messages
        #: Numbers of messages: those that the server does not take, those without an answer, and those that it refused.
        self.large = {index for index, message in enumerate(messages) if len(message.body) > most_bytes}
        self.waiting = set(range(len(messages))) - self.large
        self.refused: set[int] = set()
        self.answer = ""
        self.answered = asyncio.Event()
        if not self.waiting:
            self.answered.set()

    def unacknowledged(self) -> list[Outgoing]:
        return [self.messages[index] for index in sorted(self.large | self.waiting | self.refused)]


class Publisher:
    """Publishes in groups; what was not acknowledged in time is returned, and may be stored all the same."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._prefix = client.new_inbox()
        self._under_way: dict[str, Sending] = {}
        self._next = 0

    @property
    def most_bytes(self) -> int:
        """Of one body, by the server's word."""
        return self._client.max_payload - AROUND

    async def start(self) -> None:
        await subscribe(self._client, f"{self._prefix}.*.*", self._on_answer)

    async def publish(self, messages: Sequence[Outgoing], timeout_s: float = TIMEOUT_S) -> list[Outgoing]:
        """Publish all, wait for all acknowledgements; returns those that are not acknowledged.

        What is refused, as it is while a cluster elects a leader, is sent again until the time is over. What is larger
        than the server takes is not sent at all.
        """
        return await self.finish(self.send(messages), timeout_s)

    def send(self, messages: Sequence[Outgoing]) -> Sending:
        """The first half of `publish`, for who has something to do meanwhile; `finish` is the other."""
        self._next += 1
        sending = Sending(str(self._next), messages, self.most_bytes)
        if sending.large:
            log.error("messages are larger than NATS takes; raise its max_payload to 1MB", count=len(sending.large))
        self._under_way[sending.name] = sending
        self._write(sending)
        return sending

    async def finish(self, sending: Sending, timeout_s: float = TIMEOUT_S) -> list[Outgoing]:
        """Wait for all acknowledgements; returns the messages without one."""
        try:
            async with asyncio.timeout(timeout_s):
                await sending.answered.wait()
                if sending.refused:
                    log.warning("a stream refused messages", count=len(sending.refused), answer=sending.answer)
                while sending.refused:
                    await asyncio.sleep(AGAIN_S)
                    sending.waiting, sending.refused = sending.refused, set()
                    sending.answered.clear()
                    self._write(sending)
                    await sending.answered.wait()
        except TimeoutError:
            count = len(sending.waiting | sending.refused)
            log.warning("messages were not acknowledged in time", count=count)
        finally:
            del self._under_way[sending.name]
        return sending.unacknowledged()

    def _write(self, sending: Sending) -> None:
        """What cannot be sent is not waited for."""
        inbox = f"{self._prefix}.{sending.name}"
        commands = []
        for index in sorted(sending.waiting):
            message = sending.messages[index]
            headers = {MESSAGE_ID: message.message_id} if message.message_id else None
            commands.append(command(message.subject, message.body, f"{inbox}.{index}", headers))
        if not commands:
            return
        try:
            write(self._client, commands)
            # NATS may have been woken on this very processor, though another one is idle (decision 0026).
            os.sched_yield()
        except NOT_WRITTEN as error:
            log.warning("messages could not be sent", count=len(commands), error=words_of(error))
            sending.answered.set()

    def _on_answer(self, message: Msg) -> None:
        _, name, index = message.subject.rsplit(".", 2)
        sending = self._under_way.get(name)
        if sending is None:
            return
        sending.waiting.discard(int(index))
        if b'"error"' in message.data or not message.data:
            sending.refused.add(int(index))
            sending.answer = message.data.decode(errors="replace")[:300] or "no stream listens there"
        if not sending.waiting:
            sending.answered.set()
