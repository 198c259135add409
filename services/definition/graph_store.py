"""SQL of single nodes and edges."""

from __future__ import annotations

from uuid import UUID

from services.definition.store import NODE_COLUMNS, Row
from shared.contracts.edits import EdgesList, NodesList
from shared.contracts.pipelines import EdgeDocument, NodeDocument
from shared.postgres import Connection, as_json, direction_of

#: An edge's name, as `contracts.edits.edge_id` makes it.
EDGE_ID = "concat_ws('.', source, target, branch)"


async def insert_node(connection: Connection, pipeline_id: UUID, node: NodeDocument) -> None:
    """Behind all others."""
    await connection.execute(
        "INSERT INTO definition.nodes "
        "(pipeline_id, node_index, node_key, node_type, name, config, position, retry, timeout_s, on_error) "
        "SELECT %(pipeline_id)s, (SELECT coalesce(max(node_index) + 1, 0) FROM definition.nodes "
        "WHERE pipeline_id = %(pipeline_id)s), key, type, name, config, position, retry, timeout_s, on_error "
        "FROM json_to_record(%(node)s::json) AS node (key text, type text, name text, config json, "
        "position json, retry json, timeout_s double precision, on_error definition.on_error)",
        {"pipeline_id": pipeline_id, "node": as_json(node.model_dump())},
    )


async def update_node(connection: Connection, pipeline_id: UUID, node: NodeDocument) -> None:
    await connection.execute(
        "UPDATE definition.nodes AS old SET node_type = new.type, name = new.name, config = new.config, "
        "position = new.position, retry = new.retry, timeout_s = new.timeout_s, on_error = new.on_error "
        "FROM json_to_record(%(node)s::json) AS new (key text, type text, name text, config json, "
        "position json, retry json, timeout_s double precision, on_error definition.on_error) "
        "WHERE old.pipeline_id = %(pipeline_id)s AND old.node_key = new.key",
        {"pipeline_id": pipeline_id, "node": as_json(node.model_dump())},
    )


async def delete_node(connection: Connection, pipeline_id: UUID, key: str) -> None:
    """With its edges."""
    await connection.execute(
        "DELETE FROM definition.nodes WHERE pipeline_id = %s AND node_key = %s", (pipeline_id, key)
    )


async def load_node(connection: Connection, pipeline_id: UUID, key: str) -> Row | None:
    cursor = await connection.execute(
        f"SELECT {NODE_COLUMNS} FROM definition.nodes WHERE pipeline_id = %s AND node_key = %s",  # noqa: S608  # constant
        (pipeline_id, key),
    )
    return await cursor.fetchone()


async def list_nodes(connection: Connection, pipeline_id: UUID, wanted: NodesList) -> list[Row]:
    """One page, and one more that tells of another page."""
    follows, order = direction_of(wanted.sort)
    cursor = await connection.execute(
        f"SELECT {NODE_COLUMNS} FROM definition.nodes WHERE pipeline_id = %s "  # noqa: S608  # constant columns
        f"AND (%s::text IS NULL OR node_key {follows} %s) ORDER BY node_key {order} LIMIT %s",
        (pipeline_id, wanted.after, wanted.after, wanted.limit + 1),
    )
    return await cursor.fetchall()


async def insert_edge(connection: Connection, pipeline_id: UUID, edge: EdgeDocument) -> None:
    """Behind all others."""
    await connection.execute(
        "INSERT INTO definition.edges (pipeline_id, edge_index, source, target, branch) "
        "SELECT %(pipeline_id)s, (SELECT coalesce(max(edge_index) + 1, 0) FROM definition.edges "
        "WHERE pipeline_id = %(pipeline_id)s), %(source)s, %(target)s, %(branch)s",
        {"pipeline_id": pipeline_id, **edge.model_dump()},
    )


async def load_edge(connection: Connection, pipeline_id: UUID, name: str) -> Row | None:
    cursor = await connection.execute(
        f"SELECT source, target, branch FROM definition.edges WHERE pipeline_id = %s AND {EDGE_ID} = %s",  # noqa: S608
        (pipeline_id, name),
    )
    return await cursor.fetchone()


async def delete_edge(connection: Connection, pipeline_id: UUID, name: str) -> None:
    await connection.execute(
        f"DELETE FROM definition.edges WHERE pipeline_id = %s AND {EDGE_ID} = %s",  # noqa: S608  # a constant
        (pipeline_id, name),
    )


async def list_edges(connection: Connection, pipeline_id: UUID, wanted: EdgesList) -> list[Row]:
    """One page, and one more that tells of another page."""
    follows, order = direction_of(wanted.sort)
    cursor = await connection.execute(
        "SELECT source, target, branch FROM definition.edges WHERE pipeline_id = %s "  # noqa: S608  # constants
        f"AND (%s::text IS NULL OR {EDGE_ID} {follows} %s) ORDER BY {EDGE_ID} {order} LIMIT %s",
        (pipeline_id, wanted.after, wanted.after, wanted.limit + 1),
    )
    return await cursor.fetchall()
