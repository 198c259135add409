"""Waiting until NATS has taken what was sent on a connection, without harm to the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription

#: A server that is there takes what was sent by then.
TAKEN_S = 3.0
#: By then an answer has come back late, or its connection is given up.
LATE_PONG_S = 60


async def flush(client: Client) -> None:
    """Until NATS has taken what was sent before, subscriptions too; at once, and well, while there is no connection.

    Raises an error of nats-py, its TimeoutError when it takes too long. nats-py's own `flush` cancels what waits for
    the answer then, or when its caller is cancelled, and an answer that comes after all ends its reading for good,
    without a word. Here that wait goes on behind the caller's back.
    """
    flushing = asyncio.ensure_future(client.flush(LATE_PONG_S))
    flushing.add_done_callback(_forget_error)
    done, _ = await asyncio.wait({flushing}, timeout=TAKEN_S)
    if not done:
        raise nats.errors.FlushTimeoutError
    flushing.result()


def _forget_error(flushing: asyncio.Future[None]) -> None:
    """Nobody may be waiting for it any more."""
    if not flushing.cancelled():
        flushing.exception()


async def unsubscribe(client: Client, subscriptions: Sequence[Subscription]) -> None:
    """Take no more; what was delivered by then is still handed over. On a bad connection the rest is left to the
    server."""
    if not subscriptions or not client.is_connected:
        return
    drains = (one.drain() for one in subscriptions)  # type: ignore[no-untyped-call]  # nats-py names no types here
    # As above, it is not cancelled.
    await asyncio.wait({asyncio.gather(*drains, return_exceptions=True)}, timeout=TAKEN_S)
