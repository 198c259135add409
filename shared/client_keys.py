"""The client's methods of API keys, which the gateway keeps: over REST alone, since no user of NATS may make keys."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from shared.client_calls import Calls
from shared.client_rest import RestTransport
from shared.client_routes import RestRequest
from shared.contracts.api_keys import ApiKey, ApiKeyPage, MadeApiKey, NewApiKey, Scope
from shared.contracts.rest import path_to


class KeyCalls(Calls):
    """Raises TypeError over NATS."""

    async def create_api_key(
        self, name: str, scopes: Collection[Scope], *, expires_at: datetime | None = None
    ) -> MadeApiKey:
        """This answer alone shows the key."""
        wanted = NewApiKey(name=name, scopes=frozenset(scopes), expires_at=expires_at)
        return MadeApiKey.model_validate(await self._send("POST", path_to("api_keys"), wanted.model_dump(mode="json")))

    async def get_api_key(self, key_id: UUID) -> ApiKey:
        return ApiKey.model_validate(await self._send("GET", path_to("api_keys", key_id)))

    async def list_api_keys(
        self,
        *,
        sort: Literal["-created_at", "created_at"] = "-created_at",
        limit: int = 50,
        after: UUID | None = None,
    ) -> ApiKeyPage:
        query = {"sort": sort, "limit": limit} | ({"after": str(after)} if after is not None else {})
        return ApiKeyPage.model_validate(await self._send("GET", path_to("api_keys"), query=query))

    async def revoke_api_key(self, key_id: UUID) -> None:
        """For ever; every gateway refuses it within 5 seconds."""
        await self._send("DELETE", path_to("api_keys", key_id))

    async def _send(self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None) -> Any:
        if not isinstance(self._transport, RestTransport):
            raise TypeError("API keys are the gateway's: connect to its URL, or use 'pipewright keys'")
        return await self._transport.send(RestRequest(method, path, query or {}, body, {}))
