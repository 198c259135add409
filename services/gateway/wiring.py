"""What the routes use: the services behind the gateway, reached over NATS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request, Response
from nats.js import JetStreamContext

from services.gateway.feed import Feed
from services.gateway.keys import Keys
from services.gateway.rate_limit import NO_LIMIT, RateLimit
from services.gateway.waiting import Endings
from shared.bus.rpc import Rpc
from shared.contracts.rest import path_to
from shared.readiness import Readiness


@dataclass(frozen=True)
class Wiring:
    rpc: Rpc
    jetstream: JetStreamContext
    endings: Endings
    keys: Keys
    feed: Feed
    readiness: Readiness
    rate_limit: RateLimit = NO_LIMIT


async def wiring_of(request: Request) -> Wiring:
    """Asynchronous, since FastAPI gives everything else a thread."""
    wiring: Wiring = request.app.state.wiring
    return wiring


Wired = Annotated[Wiring, Depends(wiring_of)]


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The value as JSON; it was checked where it was made."""
    return Response(orjson.dumps(value), status, headers, "application/json")


def location(*parts: object) -> dict[str, str]:
    """The header of an answer that tells where something is."""
    return {"location": path_to(*parts)}
