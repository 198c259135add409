"""Which messages NATS had to deliver more than once: its own word, for every acknowledgement there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.contracts import subjects

QUEUES = (subjects.RUN_REQUESTS, subjects.NODE_WORK, subjects.NODE_RESULTS)
#: What NATS says of an acknowledgement, where a consumer asks for it, and of a message that was handed back.
ACKNOWLEDGED = "$JS.EVENT.METRIC.CONSUMER.ACK.>"
HANDED_BACK = "$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED.>"


@dataclass
class Redeliveries:
    """Messages that were delivered more than once: because nobody acknowledged them in time, or by word."""

    #: Each message that was acknowledged after more deliveries than were handed back.
    of_silence: list[str] = field(default_factory=list)
    #: By the stream: how many deliveries were handed back by word.
    handed_back: Counter[str] = field(default_factory=Counter)
    _of_message: Counter[tuple[str, int]] = field(default_factory=Counter)

    async def note_hand_back(self, message: Msg) -> None:
        said = orjson.loads(message.data)
        self.handed_back[said["stream"]] += 1
        self._of_message[said["stream"], said["stream_seq"]] += 1

    async def note(self, message: Msg) -> None:
        said = orjson.loads(message.data)
        stream, sequence, deliveries = said["stream"], said["stream_seq"], said["deliveries"]
        if deliveries - 1 > self._of_message[stream, sequence]:
            self.of_silence.append(f"{stream}/{said['consumer']} {sequence}: {deliveries} deliveries")


@asynccontextmanager
async def counting_redeliveries(client: Client) -> AsyncIterator[Redeliveries]:
    """Filled while it is entered."""
    found = Redeliveries()
    subscriptions = [
        await client.subscribe(HANDED_BACK, cb=found.note_hand_back),
        await client.subscribe(ACKNOWLEDGED, cb=found.note),
    ]
    jetstream = client.jetstream()
    for stream in QUEUES:
        for consumer in await jetstream.consumers_info(stream):
            assert consumer.config is not None
            await jetstream.add_consumer(stream, replace(consumer.config, sample_freq="100"))
    yield found
    await client.flush()
    for subscription in subscriptions:
        await subscription.unsubscribe()
