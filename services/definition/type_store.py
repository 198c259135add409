"""SQL of the catalogue: what workers announced."""

from __future__ import annotations

from services.definition.store import Row
from shared.contracts.nodes import NodeTypeAnnounced
from shared.postgres import Connection, as_json


async def load_type(connection: Connection, node_type: str) -> Row | None:
    cursor = await connection.execute(
        "SELECT * FROM definition.node_types WHERE node_type = %s FOR UPDATE", (node_type,)
    )
    return await cursor.fetchone()


async def save_type(connection: Connection, announced: NodeTypeAnnounced) -> None:
    await connection.execute(
        "INSERT INTO definition.node_types (node_type, title, description, config_schema, output_schema, "
        "schema_version, default_timeout_s, is_fast, branches, examples) "
        "VALUES (%s, %s, %s, %s::json, %s::json, %s, %s, %s, %s::json, %s::json) "
        "ON CONFLICT (node_type) DO UPDATE SET title = excluded.title, description = excluded.description, "
        "config_schema = excluded.config_schema, output_schema = excluded.output_schema, "
        "schema_version = excluded.schema_version, default_timeout_s = excluded.default_timeout_s, "
        "is_fast = excluded.is_fast, branches = excluded.branches, examples = excluded.examples, "
        "changed_at = clock_timestamp()",
        (
            announced.node_type,
            announced.title,
            announced.description,
            as_json(announced.config_schema),
            as_json(announced.output_schema),
            announced.schema_version,
            announced.default_timeout_s,
            announced.is_fast,
            as_json(announced.branches) if announced.branches is not None else None,
            as_json(announced.examples),
        ),
    )


async def save_worker(connection: Connection, announced: NodeTypeAnnounced) -> None:
    await connection.execute(
        "INSERT INTO definition.node_type_workers (node_type, worker, slots) VALUES (%s, %s, %s) "
        "ON CONFLICT (node_type, worker) DO UPDATE SET slots = excluded.slots, heard_at = clock_timestamp()",
        (announced.node_type, announced.worker, announced.slots),
    )


async def forget_worker(connection: Connection, node_type: str, worker: str) -> None:
    await connection.execute(
        "DELETE FROM definition.node_type_workers WHERE node_type = %s AND worker = %s", (node_type, worker)
    )


async def list_types(connection: Connection, heard_within_s: float) -> list[Row]:
    """The catalogue, with the workers that were heard of lately."""
    cursor = await connection.execute(
        "SELECT kind.node_type, kind.title, kind.description, kind.config_schema, kind.output_schema, "
        "kind.schema_version, kind.default_timeout_s, kind.is_fast, kind.branches, kind.examples, "
        "coalesce(live.slots, 0) AS slots, coalesce(live.workers, '{}') AS workers "
        "FROM definition.node_types AS kind LEFT JOIN LATERAL (SELECT sum(slots)::int AS slots, "
        "array_agg(worker ORDER BY worker) AS workers FROM definition.node_type_workers "
        "WHERE node_type = kind.node_type AND heard_at > clock_timestamp() - make_interval(secs => %s)) "
        "AS live ON TRUE ORDER BY kind.node_type",
        (heard_within_s,),
    )
    return await cursor.fetchall()
