"""Ends a process that is alive and yet useless, so that its supervisor starts it anew; runs in a plain thread."""

from __future__ import annotations

import os
import socket
import threading
import time

from shared.logging import get_logger

log = get_logger(__name__)

#: An event loop that has not come round for so long is not coming back.
STALL_LIMIT_S = 20.0
#: A connection on which nothing was heard for so long, while its server answers others, is not coming back.
CUT_OFF_LIMIT_S = 30.0
#: A server that is there greets within this.
GREETING_S = 2.0
#: This thread looks every second; when more has passed, the whole process or machine slept.
LOOK_EVERY_S = 1.0
SLEPT_S = 3.0
#: For the last words.
TELL_S = 2.0
EXIT_STATUS = 70


class Watchdog:
    """Looks whether the event loop comes round, and whether NATS is heard."""

    def __init__(
        self,
        nats_hosts: list[tuple[str, int]],
        stall_limit_s: float = STALL_LIMIT_S,
        cut_off_limit_s: float = CUT_OFF_LIMIT_S,
    ) -> None:
        self._nats_hosts = nats_hosts
        self._stall_limit_s = stall_limit_s
        self._cut_off_limit_s = cut_off_limit_s
        self._last_tick = self._last_heard = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")

    def start(self) -> None:
        self.heard()
        self.tick()
        self._thread.start()

    def tick(self) -> None:
        """Called by the event loop, at least once a second."""
        self._last_tick = time.monotonic()

    def heard(self) -> None:
        """Called whenever NATS has answered."""
        self._last_heard = time.monotonic()

    def stop(self) -> None:
        """Look no more: the process is ending, and takes its time."""
        self._is_over.set()

    def _watch(self) -> None:
        looked_at = time.monotonic()
        while not self._is_over.wait(LOOK_EVERY_S):
            now = time.monotonic()
            if now - looked_at >= SLEPT_S:
                self.tick()
                self.heard()
            elif now - self._last_tick > self._stall_limit_s:
                _end("the event loop has stalled", self._stall_limit_s)
            elif now - self._last_heard > self._cut_off_limit_s:
                # While the server is away there is nothing better than to wait for it.
                if any(_greets(host) for host in self._nats_hosts):
                    _end("cut off from NATS, which answers others", self._cut_off_limit_s)
                self.heard()
            looked_at = time.monotonic()


def _greets(host: tuple[str, int]) -> bool:
    """A NATS server sends INFO to whoever connects."""
    try:
        with socket.create_connection(host, timeout=GREETING_S) as connection:
            connection.settimeout(GREETING_S)
            return connection.recv(4) == b"INFO"
    except OSError:
        return False


def _end(reason: str, limit_s: float) -> None:
    """Told in a thread of its own: what stalled the process may hold the log's lock, or be the log's own reader."""
    words = f"{reason}; ending this process to be started anew"
    telling = threading.Thread(target=log.error, args=(words,), kwargs={"limit_s": limit_s}, daemon=True)
    telling.start()
    telling.join(TELL_S)
    os._exit(EXIT_STATUS)
