"""What the NATS client reports besides what it raises: told once in words, since its own callback writes tracebacks."""

from __future__ import annotations

import logging
import os

from shared.logging import redact_text

#: Of the standard library: the client is used in programs, too, that know nothing of our logs.
log = logging.getLogger(__name__)


class Reported:
    """Of one connection; `hear` is its callback for errors."""

    def __init__(self) -> None:
        self.last: Exception | None = None
        self._last_text = ""
        self._is_quiet = False

    async def hear(self, error: Exception) -> None:
        self.last = error
        text = words_of(error)
        if not self._is_quiet and text != self._last_text:
            log.warning("NATS reported an error: %s", text)
        # While NATS is away each attempt to reach it fails in the same words, four times a second.
        self._last_text = text

    def forget(self) -> None:
        """The same words again are news."""
        self._last_text = ""

    def silence(self) -> None:
        """Until `speak`; `last` is kept all the same."""
        self._is_quiet = True

    def speak(self) -> None:
        self._is_quiet = False


def words_of(error: Exception) -> str:
    """In a line, without credentials."""
    match error:
        case ConnectionError(errno=int(number)):
            found: str | None = os.strerror(number).lower()
        case OSError():
            found = error.strerror
        case _:
            found = str(error).removeprefix("nats: ")
    return redact_text(found or type(error).__name__)
