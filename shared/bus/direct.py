"""Reads a stream by request and reply alone: no consumer is made, so that whoever reads needs no right to make one.

Needs `allow_direct` on the stream and NATS 2.11 or later (ADR-31).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

#: Messages of one answer; the server says whether there are more.
BATCH = 1000
#: The next message of an answer comes within this time, or the server is not there.
SILENCE_S = 5.0


async def read_stream(client: Client, stream: str, subject: str) -> AsyncIterator[Msg]:
    """Every message whose `Nats-Subject` matches, oldest first; raises nats.errors.Error when it cannot be read."""
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox, pending_msgs_limit=0, pending_bytes_limit=0)
    sequence, is_more = 1, True
    try:
        while is_more:
            request = {"seq": sequence, "batch": BATCH, "next_by_subj": subject}
            await client.publish(f"$JS.API.DIRECT.GET.{stream}", orjson.dumps(request), reply=inbox)
            is_more = False
            async for message in _answers(subscription):
                headers = message.headers or {}
                if "Status" not in headers:
                    sequence = int(headers["Nats-Sequence"]) + 1
                    yield message
                elif headers["Status"] == "204":
                    is_more = int(headers.get("Nats-Num-Pending", 0)) > 0
                elif headers["Status"] != "404":
                    words = headers.get("Description", headers["Status"])
                    raise nats.errors.Error(f"the stream {stream} cannot be read: {words}")
    finally:
        if client.is_connected:
            await subscription.unsubscribe()


async def _answers(subscription: Subscription) -> AsyncIterator[Msg]:
    """Up to and with the one that carries a status, which is the last."""
    while True:
        message = await subscription.next_msg(timeout=SILENCE_S)
        yield message
        if message.headers and "Status" in message.headers:
            return
