"""The connection of a service to NATS: it waits for the server for ever and says so in the log."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import nats.errors
import nats.js.errors
from faststream.exceptions import IncorrectState
from faststream.nats import NatsBroker, NatsSecurity
from faststream.nats.security import NatsToken, NatsUserPassword
from nats.aio.client import Client

from shared.bus.address import Address, read_address
from shared.bus.arrivals import read_on
from shared.bus.flushing import flush
from shared.bus.reported import Reported
from shared.errors import words_of
from shared.logging import get_logger

log = get_logger(__name__)

#: Seconds between pings; with two outstanding a dead connection is found within 15 s.
PING_INTERVAL_S = 5

Hook = Callable[[], Awaitable[None]]


class Bus:
    """A broker and what is to be done when its connection comes back."""

    def __init__(self, nats_url: str, service: str) -> None:
        self._reported = Reported()
        self._reconnect_hooks: list[Hook] = []
        #: What of NATS this process needs, and whether it is there.
        self.parts: dict[str, Callable[[], bool]] = {}
        self.address = read_address(nats_url)
        self.broker = NatsBroker(
            self.address.servers,
            inbox_prefix=self.address.inbox_prefix,
            security=_security(self.address),
            name=f"pipewright-{service}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,  # type: ignore[arg-type]  # nats-py takes seconds as a float
            ping_interval=PING_INTERVAL_S,
            max_outstanding_pings=2,
            error_cb=self._reported.hear,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_reconnect,
            closed_cb=self._on_close,
            graceful_timeout=15.0,
            logger=None,
        )
        self._stopping = False

    @property
    def client(self) -> Client:
        """The connected nats-py client; for the hot paths."""
        return self.broker.connection

    async def connect(self) -> None:
        log.info("connecting to NATS", servers=self.address.servers)
        read_on(await self.broker.connect())

    async def close(self) -> None:
        """Hand over what is still to be sent; with NATS away, let it go."""
        self._stopping = True
        self._reported.silence()
        try:
            client = self.client
        except IncorrectState:
            # Told to stop while it still waited for NATS.
            return
        if client.is_connected:
            await _if_it_can(self.broker.stop())
        # Also ends the attempts to connect again, which would keep the process.
        await _if_it_can(client.close())

    def on_reconnect(self, hook: Hook) -> None:
        self._reconnect_hooks.append(hook)

    @property
    def is_connected(self) -> bool:
        return bool(self.client.is_connected)

    async def ping(self) -> None:
        """There and back; raises an error of nats-py when NATS does not answer in time."""
        if not self.is_connected:
            # `flush` comes back at once, and well, while there is no connection.
            raise nats.errors.ConnectionReconnectingError
        await flush(self.client)

    async def _on_disconnect(self) -> None:
        if not self._stopping:
            log.warning("lost NATS; reconnecting until it is back")

    async def _on_reconnect(self) -> None:
        log.info("reconnected to NATS")
        self._reported.forget()
        for hook in self._reconnect_hooks:
            try:
                await hook()
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
                # The loops behind the hooks find out by themselves, only later.
                log.warning("not all was taken up again", error=words_of(error))

    async def _on_close(self) -> None:
        if not self._stopping:
            # nats-py gives up for good on some server errors; a new process connects afresh.
            log.error("NATS closed the connection for good; ending this process to be started anew")
            os._exit(70)


async def _if_it_can(closing: Awaitable[None]) -> None:
    """NATS may leave at this moment; uvloop has a RuntimeError for a socket that is closed."""
    try:
        await closing
    except (nats.errors.Error, OSError, RuntimeError) as error:
        log.warning("NATS left while this process was stopping", error=words_of(error))


def _security(address: Address) -> NatsSecurity:
    if address.user is not None and address.password is not None:
        return NatsUserPassword(address.user, address.password, ssl_context=address.tls)
    if address.user is not None:
        return NatsToken(address.user, ssl_context=address.tls)
    return NatsSecurity(ssl_context=address.tls)
