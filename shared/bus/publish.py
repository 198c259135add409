"""Publishing to streams: many messages in flight, acknowledged as a group."""

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
    """Messages on their way to their stream; `answered` is set when nothing more is waited for."""

    __slots__ = ("answered", "fitting", "is_stored", "large", "messages", "name", "refusal")

    def __init__(self, name: str, messages: Sequence[Outgoing], most_bytes: int) -> None:
        self.name = name
        self.messages = messages
        #: Those that the server takes, and those that it does not.
        self.fitting = [message for message in messages if len(message.body) <= most_bytes]
        self.large = [message for message in messages if len(message.body) > most_bytes]
        self.is_stored = not self.fitting
        #: What the stream said when it did not take the last one.
        self.refusal = ""
        self.answered = asyncio.Event()
        if self.is_stored:
            self.answered.set()

    def unacknowledged(self) -> list[Outgoing]:
        return self.large if self.is_stored else [*self.messages]


class Publisher:
    """Publishes in groups, each of one stream and acknowledged as a whole; what was not acknowledged in time is
    returned, and may be stored all the same.

    NATS stores the messages of a connection one after the other, so the acknowledgement of the last one tells that it
    has seen them all (decision 0029). That it took each is not said: a stream that was full a moment ago may have
    refused some. Whoever publishes more than one looks for what got lost from time to time.
    """

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
        await subscribe(self._client, f"{self._prefix}.*", self._on_answer)

    async def publish(self, messages: Sequence[Outgoing], timeout_s: float = TIMEOUT_S) -> list[Outgoing]:
        """Publish all and wait for the acknowledgement; returns what is not acknowledged.

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
        """Wait for the acknowledgement; returns the messages that have none."""
        try:
            async with asyncio.timeout(timeout_s):
                await sending.answered.wait()
                if sending.refusal:
                    log.warning("a stream refused messages", count=len(sending.fitting), answer=sending.refusal)
                while sending.refusal:
                    await asyncio.sleep(AGAIN_S)
                    sending.refusal = ""
                    sending.answered.clear()
                    self._write(sending)
                    await sending.answered.wait()
        except TimeoutError:
            log.warning("messages were not acknowledged in time", count=len(sending.fitting))
        finally:
            del self._under_way[sending.name]
        return sending.unacknowledged()

    def _write(self, sending: Sending) -> None:
        """What cannot be sent is not waited for."""
        if not sending.fitting:
            return
        *first, last = sending.fitting
        commands = [_command(message) for message in first]
        commands.append(_command(last, f"{self._prefix}.{sending.name}"))
        try:
            write(self._client, commands)
            # NATS may have been woken on this very processor, though another one is idle (decision 0026).
            os.sched_yield()
        except NOT_WRITTEN as error:
            log.warning("messages could not be sent", count=len(commands), error=words_of(error))
            sending.answered.set()

    def _on_answer(self, message: Msg) -> None:
        sending = self._under_way.get(message.subject.rpartition(".")[2])
        if sending is None:
            return
        if b'"error"' in message.data or not message.data:
            sending.refusal = message.data.decode(errors="replace")[:300] or "no stream listens there"
        else:
            sending.is_stored = True
        sending.answered.set()


def _command(message: Outgoing, reply: str = "") -> bytes:
    headers = {MESSAGE_ID: message.message_id} if message.message_id else None
    return command(message.subject, message.body, reply, headers)
