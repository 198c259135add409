"""A continuous pull from a durable consumer: as many messages as there is room for, and never more.

nats-py's `fetch` wakes once a message and FastStream's loop either prefetches or waits for the slowest of a
batch. Here requests linger on the server and are topped up as room appears, so a message arrives the moment
it is published and none waits in a buffer while its acknowledgement deadline runs (protocol: NATS ADR-13).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.bus.arrivals import subscribe
from shared.bus.flushing import flush, unsubscribe
from shared.bus.wire import command, write
from shared.errors import words_of
from shared.logging import get_logger
from shared.tasks import logged, watched

log = get_logger(__name__)

#: How long the server keeps a request; it is renewed afterwards.
REQUEST_EXPIRES_S = 30.0
#: The server says that it is alive this often; twice as much silence means that the request is lost, as it is when
#: the leader of a consumer is killed.
HEARTBEAT_S = 3.0
#: A consumer that does not answer for so long is told of, by whoever is asked whether this process is ready.
MISSING_S = 5.0
HEARTBEAT = "100"
#: What a consumer that is there says: a heartbeat, that there is nothing, that a request is over.
PRESENT = frozenset({HEARTBEAT, "404", "408"})
#: Wait before asking again when the consumer is not there.
MISSING_DELAY_S = 1.0


class Delivery(NamedTuple):
    """What the server tells of a message that it delivers."""

    #: How often it was delivered, this time included.
    times: int
    #: Its number in the stream.
    sequence: int
    #: When the stream took it, in nanoseconds since 1970.
    sent_at_ns: int


def delivery_of(message: Msg) -> Delivery:
    """The reply subject tells: `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>...`, or with the domain and
    account before the stream (NATS ADR-15). nats-py's `metadata` reads the whole of it, at ten times the cost."""
    parts = message.reply.split(".")
    first = 4 if len(parts) == 9 else 6
    return Delivery(int(parts[first]), int(parts[first + 1]), int(parts[first + 3]))


def next_of(stream: str, durable: str) -> str:
    """Where the messages of a durable are asked for."""
    return f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"


async def is_durable_there(client: Client, stream: str, durable: str) -> bool:
    """Asks for messages in a way that is refused: whoever refuses is there, and no message is taken.

    Whoever may take work may ask this, without the right to be told of streams and consumers.
    """
    try:
        # A heartbeat is refused in a request that does not expire.
        await client.request(next_of(stream, durable), b'{"idle_heartbeat": 1000000000}', timeout=2)
    except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
        return False
    return True


class Pull:
    """Messages of one durable, at most `room` unsettled ones at a time."""

    def __init__(
        self,
        client: Client,
        stream: str,
        durable: str,
        room: int,
        on_missing: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`on_missing` is called when the consumer does not answer, before it is asked again."""
        self._client = client
        self._stream = stream
        self._durable = durable
        self._subject = next_of(stream, durable)
        self._where = f"{stream}/{durable}"
        self._room = room
        self._on_missing = on_missing
        #: Taken and not released, by the id of the object.
        self._held: dict[int, Msg] = {}
        self._requested = 0
        self._buffer: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._last_sign = 0.0
        self._renewal: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._is_over = False
        self._missing_since: float | None = None

    @property
    def is_missing(self) -> bool:
        """True when the consumer has not answered for some seconds, though NATS is there."""
        since = self._missing_since
        return since is not None and asyncio.get_running_loop().time() - since > MISSING_S

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._last_sign = loop.time()
        self._subscription = await subscribe(self._client, self._inbox, self._on_message, self._on_status)
        self._renewal = watched(self._renew())
        await self._top_up()

    async def stop(self) -> None:
        """Ask for nothing more; what was delivered can still be taken, and is given back by nobody else in time."""
        self._is_stopping = True
        if self._renewal is not None:
            self._renewal.cancel()
        if self._subscription is not None:
            await unsubscribe(self._client, [self._subscription])
        self._is_over = True
        self._arrived.set()

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping

    async def take(self, most: int) -> list[Msg]:
        """All that is there, up to `most`; waits for the first one. Empty only after `stop`."""
        while not self._buffer and not self._is_over:
            self._arrived.clear()
            await self._arrived.wait()
        batch = [self._buffer.popleft() for _ in range(min(most, len(self._buffer)))]
        self._held |= {id(message): message for message in batch}
        return batch

    def acknowledge(self, messages: Iterable[Msg]) -> None:
        """These leave their stream; raises one of wire.NOT_WRITTEN when NATS cannot be told."""
        write(self._client, [command(message.reply, b"") for message in messages])

    async def release(self, messages: Iterable[Msg]) -> None:
        """These messages, which were taken, are settled: there is room for others."""
        for message in messages:
            del self._held[id(message)]
        await self._top_up()

    def unsettled(self) -> list[Msg]:
        """All that was delivered and not released, those that nobody has taken yet included."""
        return [*self._held.values(), *self._buffer]

    async def reset(self) -> None:
        """Forget what was asked for: the connection is a new one and the server forgot it too."""
        self._requested = 0
        await self._top_up()

    async def is_drained(self) -> bool:
        """True when no message waits for any replica, and none is being worked on."""
        info = await self._client.jetstream(timeout=2).consumer_info(self._stream, self._durable)
        return not info.num_pending and not info.num_ack_pending

    async def _top_up(self) -> None:
        missing = self._room - len(self._held) - self._requested - len(self._buffer)
        if self._is_stopping or missing <= 0 or not self._client.is_connected:
            return
        # Half the room at least, unless nothing is asked for: fewer, larger requests.
        if self._requested and missing < self._room / 2:
            return
        self._requested += missing
        request = {
            "batch": missing,
            "expires": int(REQUEST_EXPIRES_S * 1e9),
            "idle_heartbeat": int(HEARTBEAT_S * 1e9),
        }
        await self._client.publish(self._subject, orjson.dumps(request), reply=self._inbox)

    def _on_message(self, message: Msg) -> None:
        self._last_sign = asyncio.get_running_loop().time()
        self._missing_since = None
        self._requested = max(0, self._requested - 1)
        self._buffer.append(message)
        self._arrived.set()
        if self._requested == 0 and (self._asking is None or self._asking.done()):
            self._asking = logged(self._top_up())

    async def _on_status(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status", "")
        self._last_sign = asyncio.get_running_loop().time()
        if status in PRESENT:
            self._missing_since = None
        elif self._missing_since is None:
            self._missing_since = self._last_sign
        if status == HEARTBEAT:
            return
        # A request ended: 408 ran out, 404 nothing there, 409 and 503 the consumer or server went away.
        unanswered = int(headers.get("Nats-Pending-Messages", self._requested))
        self._requested = max(0, self._requested - unanswered)
        if status in PRESENT:
            await self._top_up()
        else:
            # nats-py reads a line of its own into the description where there is none.
            reason = headers.get("Description", "").partition("\n")[0] or status
            log.warning("consumer did not answer", consumer=self._where, reason=reason)
            self._requested = 0
            asyncio.get_running_loop().call_later(MISSING_DELAY_S, self._ask_again)

    def _ask_again(self) -> None:
        if not self._is_stopping:
            self._renewal_once = asyncio.create_task(self._find_again())

    async def _find_again(self) -> None:
        if self._on_missing is not None:
            try:
                await self._on_missing()
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
                log.warning("a missing consumer could not be told of", consumer=self._where, error=words_of(error))
        await self._top_up()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if not self._requested:
                await self._top_up()
            elif self._is_silent() and await self._has_read_all() and self._is_silent():
                self._last_sign = asyncio.get_running_loop().time()
                await self.reset()

    def _is_silent(self) -> bool:
        return asyncio.get_running_loop().time() - self._last_sign > 2 * HEARTBEAT_S

    async def _has_read_all(self) -> bool:
        """What NATS had sent may not be read yet, by a process that was busy or frozen."""
        try:
            await flush(self._client)
        except nats.errors.Error:
            return False
        return True
