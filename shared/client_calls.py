"""What the parts of the client stand on: a transport, and one way to call it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel

from shared.bus.rpc import DEFAULT_TIMEOUT_S, Reply
from shared.contracts.runs import Run, RunEvent, RunRequested, RunStarted

#: Of a document of 10,000 nodes.
EDIT_TIMEOUT_S = 60.0
READ_TIMEOUT_S = 30.0


class Transport(Protocol):
    """What carries requests: NATS or REST."""

    async def call(self, subject: str, request: BaseModel, timeout_s: float) -> Any: ...

    async def start(self, request: RunRequested) -> RunStarted: ...

    async def request(self, request: RunRequested) -> RunStarted: ...

    def events(self, run_id: UUID) -> AsyncGenerator[Run | RunEvent, None]: ...


class Calls:
    """Asks over whatever carries it. Raises ProblemError when it is refused, UnavailableError when none answers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def _call(
        self, subject: str, request: BaseModel, reply: type[Reply], timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> Reply:
        return reply.model_validate(await self._transport.call(subject, request, timeout_s))

    async def _delete(self, subject: str, request: BaseModel, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """What was there is told on NATS alone, so nobody is told."""
        await self._transport.call(subject, request, timeout_s)
