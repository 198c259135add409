"""How long an HTTP server waits for a client to say what it wants; uvicorn by itself waits for ever."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: The head of a request must come in this time, and of a body something in each such time.
PATIENCE_S = 30.0


class PatientProtocol(H11Protocol):
    """Closes a connection that is held open with half a request, so that nobody can take all there may be.

    Between two requests uvicorn's own limit holds, and while a request is answered none.
    """

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """What came extends the time of a body, not that of a head."""
        expected = self.conn.their_state
        if expected is not h11.IDLE:
            self._forget()
        if self._limit is None and expected in (h11.IDLE, h11.SEND_BODY):
            self._limit = self.loop.call_later(PATIENCE_S, self.transport.close)

    def _forget(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
