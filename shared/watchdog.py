"""Ends a process that is alive and yet useless, so that its supervisor starts it anew; runs in a plain thread."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

from shared.greeting import Greets
from shared.logging import get_logger

log = get_logger(__name__)

#: An event loop that has not come round for so long is not coming back.
STALL_LIMIT_S = 20.0
#: A loop that is so late is busy, as under a flood of requests: no silence counts that it met with.
LATE_S = 1.0
#: This thread looks every second; when more has passed, the whole process or machine slept.
LOOK_EVERY_S = 1.0
SLEPT_S = 3.0
#: Of its limit, a part that answers others has this long to answer this process.
RETURN_PART = 1 / 3
#: For the last words.
TELL_S = 2.0
EXIT_STATUS = 70


@dataclass
class Part:
    """What this process cannot do without, and when it was last heard."""

    name: str
    #: True when it answers who connects anew.
    greets: Greets
    #: After so long without a word it is asked whether it answers others.
    limit_s: float
    heard_at: float = 0.0
    #: True when it answered others, and not yet this process.
    has_greeted: bool = False


class Watchdog:
    """Looks whether the event loop comes round, and whether each part is heard."""

    def __init__(self, parts: list[Part], stall_limit_s: float = STALL_LIMIT_S) -> None:
        self._parts = {part.name: part for part in parts}
        self._stall_limit_s = stall_limit_s
        self._last_tick = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")

    def start(self) -> None:
        self._begin_anew()
        self._thread.start()

    def tick(self) -> None:
        """Called by the event loop, at least once a second; one that comes round late has much to do and hears late."""
        now = time.monotonic()
        if now - self._last_tick > LATE_S:
            self._hear_all()
        self._last_tick = now

    def heard(self, name: str) -> None:
        """Called whenever this part has answered."""
        part = self._parts[name]
        part.heard_at, part.has_greeted = time.monotonic(), False

    def stop(self) -> None:
        """Look no more: the process is ending, and takes its time."""
        self._is_over.set()

    def _watch(self) -> None:
        looked_at = time.monotonic()
        while not self._is_over.wait(LOOK_EVERY_S):
            now = time.monotonic()
            if now - looked_at >= SLEPT_S:
                self._begin_anew()
            elif now - self._last_tick > self._stall_limit_s:
                _end("the event loop has stalled", self._stall_limit_s)
            else:
                self._look_at_parts(now)
            looked_at = time.monotonic()

    def _begin_anew(self) -> None:
        self._last_tick = time.monotonic()
        self._hear_all()

    def _hear_all(self) -> None:
        for name in self._parts:
            self.heard(name)

    def _look_at_parts(self, now: float) -> None:
        for part in self._parts.values():
            if now - part.heard_at <= part.limit_s:
                continue
            if not part.greets():
                # While the server is away there is nothing better than to wait for it.
                self.heard(part.name)
            elif part.has_greeted:
                _end(f"cut off from {part.name}, which answers others", part.limit_s)
            else:
                # It may be back since a moment ago, and this process about to connect.
                part.heard_at, part.has_greeted = now - part.limit_s * (1 - RETURN_PART), True


def _end(reason: str, limit_s: float) -> None:
    """Told in a thread of its own: what stalled the process may hold the log's lock, or be the log's own reader."""
    words = f"{reason}; ending this process to be started anew"
    telling = threading.Thread(target=log.error, args=(words,), kwargs={"limit_s": limit_s}, daemon=True)
    telling.start()
    telling.join(TELL_S)
    os._exit(EXIT_STATUS)
