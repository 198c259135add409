"""Who may call: a bearer key, known by its SHA-256 alone and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass

from psycopg_pool import PoolTimeout

from services.gateway.access import Scope
from shared.errors import ServiceError, UnavailableError
from shared.postgres import Pool

#: A key that was good is believed for so long; a revoked one ends within this time.
BELIEVED_S = 5.0
#: Keys believed at once.
MOST_BELIEVED = 10_000


@dataclass(frozen=True)
class Key:
    """Who calls."""

    id: str
    name: str
    scopes: frozenset[Scope]


ADMIN_KEY = Key("admin", "the admin key of the settings", frozenset({Scope.ADMIN}))


class UnauthorizedError(ServiceError):
    status = 401
    title = "Not authorized"


class Keys:
    """Checks keys against the admin key of the settings and the table."""

    def __init__(self, pool: Pool, admin_key: str | None) -> None:
        self._pool = pool
        self._admin = _digest(admin_key) if admin_key else None
        self._believed: dict[bytes, tuple[float, Key]] = {}

    async def check(self, authorization: str | None) -> Key:
        """Raises UnauthorizedError."""
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise UnauthorizedError(
                "missing_key", "This needs an API key. Send the header 'Authorization: Bearer KEY'."
            )
        digest = _digest(secret.strip())
        if self._admin is not None and hmac.compare_digest(digest, self._admin):
            return ADMIN_KEY
        believed_until, key = self._believed.get(digest, (0.0, ADMIN_KEY))
        if believed_until > time.monotonic():
            return key
        found = await self._find(digest)
        if found is None:
            raise UnauthorizedError("wrong_key", "This API key is not known, has expired or was revoked.")
        if len(self._believed) >= MOST_BELIEVED:
            self._believed.clear()
        self._believed[digest] = (time.monotonic() + BELIEVED_S, found)
        return found

    async def _find(self, digest: bytes) -> Key | None:
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(
                    "SELECT id, name, scopes, sha256 FROM gateway.api_keys WHERE sha256 = %s AND revoked_at IS NULL "
                    "AND (expires_at IS NULL OR expires_at > clock_timestamp())",
                    (digest,),
                    prepare=True,
                )
                row = await cursor.fetchone()
        except PoolTimeout as error:
            raise UnavailableError(
                "database_unavailable",
                "Keys cannot be checked now. Try again in a few seconds.",
                retry_after_s=2.0,
            ) from error
        if row is None or not hmac.compare_digest(bytes(row["sha256"]), digest):
            return None
        return Key(row["id"], row["name"], frozenset(Scope(scope) for scope in row["scopes"]))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
