"""Routes of API keys: make, list, read and revoke."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.gateway.access import needs
from services.gateway.bodies import read_model
from services.gateway.openapi.answers import answers, body_of
from services.gateway.routes.paging import AfterId, Limit, SortByTime
from services.gateway.wiring import Wired, answer, location
from shared.contracts.api_keys import ApiKey, ApiKeyPage, MadeApiKey, NewApiKey, Scope

router = APIRouter(prefix="/api_keys", tags=["api_keys"])

ADMIN = [needs(Scope.ADMIN)]


@router.post(
    "", dependencies=ADMIN, status_code=201, responses=answers(MadeApiKey, 201), openapi_extra=body_of(NewApiKey)
)
async def create_api_key(request: Request, wired: Wired) -> Response:
    """Make a key. The answer shows it, and nothing ever does again; kept is its SHA-256 alone."""
    made = await wired.keys.make(await read_model(request, NewApiKey))
    headers = location("api_keys", made.id) | {"cache-control": "no-store"}
    return answer(made.model_dump(), 201, headers)


@router.get("", dependencies=ADMIN, responses=answers(ApiKeyPage))
async def list_api_keys(
    wired: Wired,
    limit: Limit = 50,
    after: AfterId = None,
    sort: SortByTime = "-created_at",
) -> Response:
    """Keys, newest first, with those that expired or were revoked; without the keys themselves."""
    return answer((await wired.keys.page(limit, after, sort)).model_dump())


@router.get("/{key_id}", dependencies=ADMIN, responses=answers(ApiKey))
async def get_api_key(key_id: UUID, wired: Wired) -> Response:
    """A key, without the key itself; `last_used_at` may be late by a minute."""
    return answer((await wired.keys.get(key_id)).model_dump())


@router.delete("/{key_id}", dependencies=ADMIN, status_code=204, response_model=None, responses=answers(None, 204))
async def revoke_api_key(key_id: UUID, wired: Wired) -> Response:
    """Revoke a key for ever: refused from now on, and within 5 seconds by every other gateway."""
    await wired.keys.revoke(key_id)
    return Response(status_code=204)
