"""The connection of a service to NATS: it waits for the server for ever and says so in the log."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Awaitable, Callable

from faststream.nats import NatsBroker, NatsSecurity
from nats.aio.client import Client

from shared.bus.address import read_address
from shared.logging import get_logger, redact_text

log = get_logger(__name__)

#: Seconds between pings; with two outstanding a dead connection is found within 15 s.
PING_INTERVAL_S = 5
#: A loop that has not come round for so long is not coming back.
STALL_LIMIT_S = 20.0

Hook = Callable[[], Awaitable[None]]


class Bus:
    """A broker and what is to be done when its connection comes back."""

    def __init__(self, nats_url: str, service: str) -> None:
        self._service = service
        self._reconnect_hooks: list[Hook] = []
        address = read_address(nats_url)
        self.broker = NatsBroker(
            address.url,
            inbox_prefix=address.inbox_prefix,
            security=NatsSecurity(ssl_context=address.tls) if address.tls is not None else None,
            name=f"pipewright-{service}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,  # type: ignore[arg-type]  # nats-py takes seconds as a float
            ping_interval=PING_INTERVAL_S,
            max_outstanding_pings=2,
            error_cb=self._on_error,
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
        log.info("connecting to NATS", url=redact_text(str(self.broker.specification.url[0])))
        await self.broker.connect()

    async def close(self) -> None:
        self._stopping = True
        await self.broker.stop()

    def on_reconnect(self, hook: Hook) -> None:
        self._reconnect_hooks.append(hook)

    @property
    def is_connected(self) -> bool:
        return bool(self.client.is_connected)

    async def _on_error(self, error: Exception) -> None:
        if not self._stopping:
            log.warning("NATS reported an error", error=redact_text(str(error) or type(error).__name__))

    async def _on_disconnect(self) -> None:
        if not self._stopping:
            log.warning("lost NATS; reconnecting until it is back")

    async def _on_reconnect(self) -> None:
        log.info("reconnected to NATS")
        for hook in self._reconnect_hooks:
            await hook()

    async def _on_close(self) -> None:
        if not self._stopping:
            # nats-py gives up for good on some server errors; a new process connects afresh.
            log.error("NATS closed the connection for good; ending this process to be started anew")
            os._exit(70)


class Watchdog:
    """Ends the process when its event loop has stalled, so that its supervisor starts it anew."""

    def __init__(self, limit_s: float = STALL_LIMIT_S) -> None:
        self._limit_s = limit_s
        self._last_tick = time.monotonic()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")

    def start(self) -> None:
        self._thread.start()

    def tick(self) -> None:
        """Called by the event loop, at least once a second."""
        self._last_tick = time.monotonic()

    def _watch(self) -> None:
        checked_at = time.monotonic()
        while True:
            time.sleep(1.0)
            now = time.monotonic()
            # A machine that slept, or a process that was stopped and continued, stalls this thread too.
            if now - checked_at < 3.0 and now - self._last_tick > self._limit_s:
                log.error("event loop stalled; ending this process to be started anew", limit_s=self._limit_s)
                os._exit(70)
            if now - checked_at >= 3.0:
                self._last_tick = now
            checked_at = now
