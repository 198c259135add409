"""SQL of the definition service: set-based, one statement a function."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.contracts.pipelines import CompiledVersion, PipelineDocument, PipelineList
from shared.contracts.states import PipelineStatus
from shared.contracts.versions import VersionsList
from shared.postgres import Connection, as_json, direction_of

Row = dict[str, Any]

UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

PIPELINE_COLUMNS = (
    "id, slug, name, description, status::text AS status, input_schema, active_version, revision, published_sha256, "
    "created_at, updated_at, (SELECT count(*) FROM definition.nodes WHERE pipeline_id = pipelines.id) AS node_count"
)


def as_id(reference: str) -> UUID | None:
    """None for a slug, which never has the form of a UUID."""
    return UUID(reference) if UUID_FORM.fullmatch(reference) else None


async def insert_pipeline(connection: Connection, pipeline_id: UUID, slug: str, document: PipelineDocument) -> bool:
    """False when the slug is taken."""
    cursor = await connection.execute(
        "INSERT INTO definition.pipelines (id, slug, name, description, input_schema) "
        "VALUES (%s, %s, %s, %s, %s::json) ON CONFLICT (slug) DO NOTHING",
        (pipeline_id, slug, document.name, document.description, _json_or_none(document.input_schema)),
    )
    return cursor.rowcount == 1


async def update_pipeline(connection: Connection, pipeline_id: UUID, document: PipelineDocument) -> None:
    await connection.execute(
        "UPDATE definition.pipelines SET name = %s, description = %s, input_schema = %s::json, "
        "slug = coalesce(%s, slug), revision = revision + 1, updated_at = clock_timestamp() WHERE id = %s",
        (
            document.name,
            document.description,
            _json_or_none(document.input_schema),
            document.slug,
            pipeline_id,
        ),
    )


async def replace_graph(connection: Connection, pipeline_id: UUID, document: PipelineDocument) -> None:
    """All nodes and edges of the pipeline become those of the document."""
    await connection.execute("DELETE FROM definition.nodes WHERE pipeline_id = %s", (pipeline_id,))
    await connection.execute(
        "INSERT INTO definition.nodes "
        "(pipeline_id, node_index, node_key, node_type, name, config, position, retry, timeout_s, on_error) "
        "SELECT %s, node_index, key, type, name, config, position, retry, timeout_s, on_error "
        "FROM json_to_recordset(%s::json) AS node (node_index int, key text, type text, name text, config json, "
        "position json, retry json, timeout_s double precision, on_error definition.on_error)",
        (
            pipeline_id,
            as_json([{**node.model_dump(), "node_index": at} for at, node in enumerate(document.nodes)]),
        ),
    )
    await connection.execute(
        "INSERT INTO definition.edges (pipeline_id, edge_index, source, target, branch) "
        "SELECT %s, edge_index, source, target, branch FROM json_to_recordset(%s::json) "
        "AS edge (edge_index int, source text, target text, branch text)",
        (
            pipeline_id,
            as_json([{**edge.model_dump(), "edge_index": at} for at, edge in enumerate(document.edges)]),
        ),
    )


async def find_pipeline(connection: Connection, reference: str, *, is_locked: bool = False) -> Row | None:
    """By slug or id; locked, it stays as it is until the transaction ends."""
    cursor = await connection.execute(
        f"SELECT {PIPELINE_COLUMNS} FROM definition.pipelines "  # noqa: S608  # constant columns
        "WHERE slug = %(slug)s OR id = %(id)s::uuid" + (" FOR UPDATE" if is_locked else ""),
        {"slug": reference, "id": as_id(reference)},
    )
    return await cursor.fetchone()


NODE_COLUMNS = (
    "node_key AS key, node_type AS type, name, config, position, retry, timeout_s, on_error::text AS on_error"
)


async def load_nodes(connection: Connection, pipeline_id: UUID) -> list[Row]:
    cursor = await connection.execute(
        f"SELECT {NODE_COLUMNS} FROM definition.nodes WHERE pipeline_id = %s ORDER BY node_index",  # noqa: S608  # constant
        (pipeline_id,),
    )
    return await cursor.fetchall()


async def load_edges(connection: Connection, pipeline_id: UUID) -> list[Row]:
    cursor = await connection.execute(
        "SELECT source, target, branch FROM definition.edges WHERE pipeline_id = %s ORDER BY edge_index",
        (pipeline_id,),
    )
    return await cursor.fetchall()


async def list_pipelines(connection: Connection, wanted: PipelineList) -> list[Row]:
    """One page by slug, and one more that tells of another page."""
    follows, order = direction_of(wanted.sort)
    cursor = await connection.execute(
        f"SELECT {PIPELINE_COLUMNS} FROM definition.pipelines "  # noqa: S608  # constant columns
        "WHERE (%(status)s::definition.pipeline_status IS NULL OR status = %(status)s) "
        f"AND (%(after)s::text IS NULL OR slug {follows} %(after)s) ORDER BY slug {order} LIMIT %(limit)s",
        {"status": wanted.status, "after": wanted.after, "limit": wanted.limit + 1},
    )
    return await cursor.fetchall()


async def delete_pipeline(connection: Connection, pipeline_id: UUID) -> None:
    """Its versions stay: runs use them."""
    await connection.execute("DELETE FROM definition.pipelines WHERE id = %s", (pipeline_id,))


async def set_status(connection: Connection, pipeline_id: UUID, status: PipelineStatus) -> None:
    await connection.execute(
        "UPDATE definition.pipelines SET status = %s, revision = revision + 1, updated_at = clock_timestamp() "
        "WHERE id = %s",
        (status, pipeline_id),
    )


async def next_number(connection: Connection, pipeline_id: UUID) -> int:
    cursor = await connection.execute(
        "SELECT coalesce(max(number), 0) + 1 AS number FROM definition.versions WHERE pipeline_id = %s",
        (pipeline_id,),
    )
    row = await cursor.fetchone()
    assert row is not None
    number: int = row["number"]
    return number


async def publish(
    connection: Connection,
    version: CompiledVersion,
    document: PipelineDocument,
    status: PipelineStatus,
    digest: str,
) -> None:
    """Keep the version and make it the active one."""
    await connection.execute(
        "INSERT INTO definition.versions (id, pipeline_id, number, compiled, document, sha256, published_at) "
        "VALUES (%s, %s, %s, %s::json, %s::json, %s, %s)",
        (
            version.id,
            version.pipeline_id,
            version.number,
            version.model_dump_json(),
            document.model_dump_json(),
            digest,
            version.published_at,
        ),
    )
    await connection.execute(
        "UPDATE definition.pipelines SET status = %s, active_version = %s, published_sha256 = %s, "
        "revision = revision + 1, updated_at = clock_timestamp() WHERE id = %s",
        (status, version.number, digest, version.pipeline_id),
    )


async def activate(connection: Connection, pipeline_id: UUID, version: Row, status: PipelineStatus) -> None:
    """New runs use this version."""
    await connection.execute(
        "UPDATE definition.pipelines SET status = %s, active_version = %s, published_sha256 = %s, "
        "revision = revision + 1, updated_at = clock_timestamp() WHERE id = %s",
        (status, version["number"], version["sha256"], pipeline_id),
    )


async def list_versions(connection: Connection, pipeline_id: UUID, wanted: VersionsList) -> list[Row]:
    """One page without their documents, and one more that tells of another page."""
    follows, order = direction_of(wanted.sort)
    cursor = await connection.execute(
        "SELECT id, number, published_at, json_array_length(compiled->'nodes') AS node_count "  # noqa: S608  # constant
        "FROM definition.versions WHERE pipeline_id = %(pipeline_id)s "
        f"AND (%(after)s::int IS NULL OR number {follows} %(after)s) ORDER BY number {order} LIMIT %(limit)s",
        {"pipeline_id": pipeline_id, "limit": wanted.limit + 1, "after": wanted.after},
    )
    return await cursor.fetchall()


async def read_version(connection: Connection, pipeline_id: UUID, number: int) -> Row | None:
    cursor = await connection.execute(
        "SELECT id, number, published_at, document, sha256, json_array_length(compiled->'nodes') AS node_count "
        "FROM definition.versions WHERE pipeline_id = %s AND number = %s",
        (pipeline_id, number),
    )
    return await cursor.fetchone()


async def raise_revision(connection: Connection, pipeline_id: UUID) -> int:
    cursor = await connection.execute(
        "UPDATE definition.pipelines SET revision = revision + 1, updated_at = clock_timestamp() WHERE id = %s "
        "RETURNING revision",
        (pipeline_id,),
    )
    row = await cursor.fetchone()
    assert row is not None
    revision: int = row["revision"]
    return revision


async def claim_key(connection: Connection, key: str, digest: str) -> Row:
    """What was made with this key; no `pipeline_id` when it is ours now. Waits for who has it in another transaction,
    and keeps what was made with it from being deleted in this one."""
    cursor = await connection.execute(
        "INSERT INTO definition.idempotency_keys (key, document_sha256) VALUES (%s, %s) "
        "ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING pipeline_id, document_sha256",
        (key, digest),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row


async def keep_key(connection: Connection, key: str, pipeline_id: UUID) -> None:
    await connection.execute(
        "UPDATE definition.idempotency_keys SET pipeline_id = %s WHERE key = %s", (pipeline_id, key)
    )


async def load_version(connection: Connection, version_id: UUID) -> Any | None:
    cursor = await connection.execute("SELECT compiled FROM definition.versions WHERE id = %s", (version_id,))
    row = await cursor.fetchone()
    return row["compiled"] if row is not None else None


async def resolve(connection: Connection, references: Sequence[str]) -> list[Row]:
    """Pipelines by slug or id, with the id of their active version."""
    # Postgres refuses the whole question for one name with U+0000, which none of its own can have.
    askable = [reference for reference in references if "\0" not in reference]
    cursor = await connection.execute(
        "SELECT pipeline.id, pipeline.slug, pipeline.status::text AS status, version.id AS version_id "
        "FROM definition.pipelines AS pipeline LEFT JOIN definition.versions AS version "
        "ON version.pipeline_id = pipeline.id AND version.number = pipeline.active_version "
        # Subqueries, since Postgres would plan anew for every array that it is given.
        "WHERE pipeline.slug = ANY(ARRAY(SELECT unnest(%(slugs)s::text[]))) "
        "OR pipeline.id = ANY(ARRAY(SELECT unnest(%(ids)s::uuid[])))",
        {"slugs": askable, "ids": list(filter(None, map(as_id, askable)))},
        prepare=True,
    )
    return await cursor.fetchall()


async def all_slugs(connection: Connection) -> list[str]:
    cursor = await connection.execute("SELECT slug FROM definition.pipelines ORDER BY slug LIMIT 2000")
    return [row["slug"] for row in await cursor.fetchall()]


def _json_or_none(value: Any) -> str | None:
    return as_json(value) if value is not None else None
