"""Who may call: a bearer key, known by its SHA-256 alone and compared in constant time."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from services.gateway import key_store
from services.gateway.api_key import check_expiry, digest_of, has_shape_of_key, new_secret
from services.gateway.last_uses import LastUses
from shared.clock import Clock, SystemClock
from shared.contracts.api_keys import ApiKey, ApiKeyPage, MadeApiKey, NewApiKey, Scope
from shared.contracts.rest import path_to
from shared.errors import NotFoundError, ServiceError
from shared.logging import get_logger
from shared.postgres import Connection, Pool, connection_for

log = get_logger(__name__)

#: A key that was good is believed for so long; one that is revoked elsewhere ends within this time.
BELIEVED_S = 5.0
#: Keys believed at once.
MOST_BELIEVED = 10_000


@dataclass(frozen=True)
class Key:
    """Who calls."""

    #: None for the admin key of the settings, which is in no table.
    id: UUID | None
    name: str
    scopes: frozenset[Scope]


@dataclass(frozen=True)
class Believed:
    """A key that was good when it was looked up."""

    key: Key
    until: float


ADMIN_KEY = Key(None, "the admin key of the settings", frozenset({Scope.ADMIN}))


class UnauthorizedError(ServiceError):
    status = 401
    title = "Not authorized"


class Keys:
    """Checks keys against the admin key of the settings and the table; makes, shows and revokes those of the table."""

    def __init__(
        self,
        pool: Pool,
        admin_key: str | None,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._admin = digest_of(admin_key) if admin_key else None
        self._clock = clock or SystemClock()
        self._monotonic = monotonic
        self._believed: dict[bytes, Believed] = {}
        #: Lookups under way: all who ask for the same key meanwhile share one.
        self._lookups: dict[bytes, asyncio.Task[Believed | None]] = {}
        self.last_uses = LastUses(pool, self._clock, monotonic)

    async def check(self, authorization: str | None) -> Key:
        """Raises UnauthorizedError, or UnavailableError when it cannot be told now."""
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise UnauthorizedError(
                "missing_key", "This needs an API key. Send the header 'Authorization: Bearer KEY'."
            )
        digest = digest_of(secret.strip())
        if self._admin is not None and hmac.compare_digest(digest, self._admin):
            return ADMIN_KEY
        believed = self._believed.get(digest)
        if believed is None or believed.until <= self._monotonic():
            believed = await self._look_up(digest) if has_shape_of_key(secret.strip()) else None
        if believed is None:
            raise UnauthorizedError("wrong_key", "This API key is not known, has expired or was revoked.")
        assert believed.key.id is not None
        self.last_uses.note(believed.key.id)
        return believed.key

    async def make(self, wanted: NewApiKey) -> MadeApiKey:
        """The answer alone holds the key."""
        check_expiry(wanted, self._clock.now())
        secret = new_secret()
        async with self._connection() as connection:
            made = await key_store.insert_key(connection, wanted, digest_of(secret))
        log.info("api key was made", key_id=str(made.id), scopes=made.scopes)
        return MadeApiKey(**made.model_dump(), key=secret)

    async def page(self, limit: int, after: UUID | None = None, sort: str = "-created_at") -> ApiKeyPage:
        async with self._connection() as connection:
            return await key_store.list_keys(connection, limit, after, sort)

    async def get(self, key_id: UUID) -> ApiKey:
        async with self._connection() as connection:
            found = await key_store.find_key(connection, key_id)
        if found is None:
            raise no_such_key(key_id)
        return found

    async def revoke(self, key_id: UUID) -> None:
        """From the return on it is refused here; by other gateways within BELIEVED_S."""
        async with self._connection() as connection:
            revoked = await key_store.revoke_key(connection, key_id)
        if revoked is None:
            raise no_such_key(key_id)
        _, digest = revoked
        self._believed.pop(digest, None)
        # A lookup that has read the row before it changed must not be believed any more.
        self._lookups.pop(digest, None)
        log.info("api key was revoked", key_id=str(key_id))

    async def _look_up(self, digest: bytes) -> Believed | None:
        lookup = self._lookups.get(digest)
        if lookup is None:
            lookup = self._lookups[digest] = asyncio.create_task(self._find(digest))
            lookup.add_done_callback(partial(self._end_lookup, digest))
        # Shielded because a caller that goes away must not end the lookup of the others.
        return await asyncio.shield(lookup)

    def _end_lookup(self, digest: bytes, lookup: asyncio.Task[Believed | None]) -> None:
        """Believe what was found, unless the key was revoked meanwhile."""
        if self._lookups.get(digest) is not lookup:
            return
        del self._lookups[digest]
        if lookup.cancelled() or lookup.exception() is not None or (found := lookup.result()) is None:
            return
        if len(self._believed) >= MOST_BELIEVED:
            self._believed.clear()
        self._believed[digest] = found

    async def _find(self, digest: bytes) -> Believed | None:
        asked_at = self._monotonic()
        async with self._connection() as connection:
            row = await key_store.find_good_key(connection, digest)
        if row is None or not hmac.compare_digest(bytes(row["sha256"]), digest):
            return None
        good_for_s = BELIEVED_S if row["good_for_s"] is None else min(BELIEVED_S, row["good_for_s"])
        key = Key(row["id"], row["name"], frozenset(Scope(scope) for scope in row["scopes"]))
        return Believed(key, asked_at + good_for_s)

    def _connection(self) -> AbstractAsyncContextManager[Connection]:
        """Raises UnavailableError while Postgres is away."""
        return connection_for(self._pool, "API keys cannot be read now.")


def no_such_key(key_id: UUID) -> NotFoundError:
    return NotFoundError("key_not_found", f"There is no API key {key_id}. GET {path_to('api_keys')} lists all.")
