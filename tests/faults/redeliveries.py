"""Which messages NATS had to deliver more than once: its own word, for every acknowledgement there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.contracts import subjects

QUEUES = (subjects.RUN_REQUESTS, subjects.NODE_WORK, subjects.NODE_RESULTS)
#: What NATS says of an acknowledgement, where a consumer asks for it.
METRICS = "$JS.EVENT.METRIC.CONSUMER.ACK.>"


@asynccontextmanager
async def counting_redeliveries(client: Client) -> AsyncIterator[list[str]]:
    """Filled with each message that was acknowledged after more than one delivery, while it is entered."""
    found: list[str] = []

    async def note(message: Msg) -> None:
        said = orjson.loads(message.data)
        if said["deliveries"] > 1:
            found.append(f"{said['stream']}/{said['consumer']} {said['stream_seq']}: {said['deliveries']} deliveries")

    subscription = await client.subscribe(METRICS, cb=note)
    jetstream = client.jetstream()
    for stream in QUEUES:
        for consumer in await jetstream.consumers_info(stream):
            assert consumer.config is not None
            await jetstream.add_consumer(stream, replace(consumer.config, sample_freq="100"))
    yield found
    await client.flush()
    await subscription.unsubscribe()
