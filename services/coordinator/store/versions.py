"""SQL of versions: the compiled graphs that runs were started with, and what each run was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from shared.contracts.pipelines import CompiledVersion
from shared.postgres import Connection, as_json


async def load_version(connection: Connection, version_id: UUID) -> CompiledVersion | None:
    cursor = await connection.execute("SELECT compiled FROM runs.versions WHERE id = %s", (version_id,))
    row = await cursor.fetchone()
    return CompiledVersion.model_validate(row["compiled"]) if row is not None else None


async def copy_version(connection: Connection, version: CompiledVersion, nodes: Sequence[dict[str, Any]]) -> None:
    """Keep the version for the runs that use it; a version that is there already is left as it is."""
    async with connection.transaction():
        cursor = await connection.execute(
            "INSERT INTO runs.versions (id, pipeline_id, pipeline_slug, number, compiled) "
            "VALUES (%s, %s, %s, %s, %s::json) ON CONFLICT DO NOTHING",
            (
                version.id,
                version.pipeline_id,
                version.pipeline_slug,
                version.number,
                version.model_dump_json(),
            ),
        )
        if cursor.rowcount:
            await connection.execute(
                "INSERT INTO runs.version_nodes "
                "(version_id, node_index, node_key, node_type, waiting_for, root_rank) "
                "SELECT %s, * FROM json_to_recordset(%s::json) "
                "AS new (node_index int, node_key text, node_type text, waiting_for int, root_rank int)",
                (version.id, as_json(nodes)),
            )


async def load_facts(connection: Connection, run_ids: Iterable[str]) -> list[dict[str, Any]]:
    """What never changes about these runs."""
    cursor = await connection.execute(
        "SELECT id::text AS id, version_id, input, started_at, traceparent "
        "FROM runs.pipeline_runs WHERE id = ANY(%s::uuid[]) "
        "AND version_id IS NOT NULL AND started_at IS NOT NULL",
        (list(run_ids),),
    )
    return await cursor.fetchall()
