"""SQL of the API keys: set-based, one statement a function. Knows digests of keys, and no key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.clock import new_id
from shared.contracts.api_keys import ApiKey, ApiKeyPage, NewApiKey
from shared.postgres import Connection, as_json, direction_of

Row = dict[str, Any]

#: All that is shown of a key.
COLUMNS = "id, name, scopes, created_at, expires_at, revoked_at, last_used_at"


async def insert_key(connection: Connection, wanted: NewApiKey, digest: bytes) -> ApiKey:
    cursor = await connection.execute(
        "INSERT INTO gateway.api_keys (id, name, sha256, scopes, expires_at) "  # noqa: S608  # constant columns
        f"VALUES (%s, %s, %s, %s, %s) RETURNING {COLUMNS}",
        (new_id(), wanted.name, digest, sorted(scope.value for scope in wanted.scopes), wanted.expires_at),
    )
    return ApiKey.model_validate(await cursor.fetchone())


async def find_good_key(connection: Connection, digest: bytes) -> Row | None:
    """Neither revoked nor expired; with `good_for_s`, the seconds until it expires, if it does."""
    cursor = await connection.execute(
        "SELECT id, name, scopes, sha256, "
        "extract(epoch FROM expires_at - clock_timestamp())::double precision AS good_for_s "
        "FROM gateway.api_keys WHERE sha256 = %s AND revoked_at IS NULL "
        "AND (expires_at IS NULL OR expires_at > clock_timestamp())",
        (digest,),
        prepare=True,
    )
    return await cursor.fetchone()


async def list_keys(
    connection: Connection, limit: int, after: UUID | None = None, sort: str = "-created_at"
) -> ApiKeyPage:
    """One page; ids are UUIDv7, so their order is that of time."""
    follows, order = direction_of(sort)
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM gateway.api_keys "  # noqa: S608  # constant columns
        f"WHERE (%(after)s::uuid IS NULL OR id {follows} %(after)s) ORDER BY id {order} LIMIT %(limit)s",
        {"after": after, "limit": limit + 1},
    )
    keys = [ApiKey.model_validate(row) for row in await cursor.fetchall()]
    has_more = len(keys) > limit
    return ApiKeyPage(keys=keys[:limit], next_after=keys[limit - 1].id if has_more else None)


async def find_key(connection: Connection, key_id: UUID) -> ApiKey | None:
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM gateway.api_keys WHERE id = %s",  # noqa: S608  # constant columns
        (key_id,),
    )
    row = await cursor.fetchone()
    return ApiKey.model_validate(row) if row is not None else None


async def revoke_key(connection: Connection, key_id: UUID) -> tuple[ApiKey, bytes] | None:
    """For ever; revoked again it keeps its first time. Returns the key with its digest, or None if there is none."""
    cursor = await connection.execute(
        "UPDATE gateway.api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp()) "  # noqa: S608  # constant
        f"WHERE id = %s RETURNING {COLUMNS}, sha256",
        (key_id,),
    )
    row = await cursor.fetchone()
    return (ApiKey.model_validate(row), bytes(row["sha256"])) if row is not None else None


async def save_uses(connection: Connection, used_at: Mapping[UUID, datetime]) -> None:
    """When each key was last used; never earlier than what another gateway has written."""
    await connection.execute(
        "UPDATE gateway.api_keys AS key SET last_used_at = greatest(key.last_used_at, used.used_at) "
        "FROM json_to_recordset(%s::json) AS used (id uuid, used_at timestamptz) WHERE key.id = used.id",
        (as_json([{"id": key_id, "used_at": at} for key_id, at in used_at.items()]),),
    )
