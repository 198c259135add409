"""A stream as JetStream keeps it: every message comes at least once, in any order, until it is acknowledged."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Generic, TypeVar

Body = TypeVar("Body")


@dataclass(eq=False)
class Message(Generic[Body]):
    body: Body
    deliveries: int = 0
    #: The process that has it; None while it waits.
    holder: object = None


@dataclass
class Stream(Generic[Body]):
    messages: list[Message[Body]] = field(default_factory=list)
    #: What was said once is not taken a second time.
    known: set[str] = field(default_factory=set)

    def publish(self, body: Body, message_id: str | None = None) -> None:
        if message_id is None or message_id not in self.known:
            self.messages.append(Message(body))
        if message_id is not None:
            self.known.add(message_id)

    def take(self, random: Random, holder: object) -> Message[Body] | None:
        """Any that waits: order is no promise."""
        waiting = [message for message in self.messages if message.holder is None]
        if not waiting:
            return None
        message = random.choice(waiting)
        message.holder, message.deliveries = holder, message.deliveries + 1
        return message

    def acknowledge(self, message: Message[Body]) -> None:
        """One that is gone already stays gone."""
        if message in self.messages:
            self.messages.remove(message)

    def give_back(self, holder: object) -> None:
        """Its time is over, since whoever had it says nothing any more."""
        for message in self.messages:
            if message.holder is holder:
                message.holder = None

    def wipe(self) -> None:
        """The stream is deleted and made anew."""
        self.messages.clear()
        self.known.clear()
