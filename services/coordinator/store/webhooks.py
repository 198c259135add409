"""SQL of webhooks: who is told of ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.contracts.webhooks import WebhookCreate, WebhookDeliveriesList, WebhooksList
from shared.postgres import Connection, direction_of, where

WEBHOOK_COLUMNS = "id, pipeline_id, run_id, url, created_at, disabled_at"
#: While an attempt goes on, `next_attempt_at` says only when it is looked for.
DELIVERY_COLUMNS = (
    "id, webhook_id, run_id, status::text AS status, attempt AS attempt_count, "
    "CASE WHEN sent_at IS NULL THEN next_attempt_at END AS next_attempt_at, "
    "last_status, last_error, created_at, finished_at"
)


async def count_webhooks(connection: Connection, wanted: WebhookCreate) -> int:
    """Those that would be told of the same ends."""
    cursor = await connection.execute(
        "SELECT count(*) AS count FROM runs.webhooks WHERE pipeline_id = %s OR run_id = %s",
        (wanted.pipeline_id, wanted.run_id),
    )
    row = await cursor.fetchone()
    assert row is not None
    count: int = row["count"]
    return count


async def insert_webhook(
    connection: Connection, webhook_id: UUID, wanted: WebhookCreate, secret: bytes
) -> dict[str, Any]:
    cursor = await connection.execute(
        "INSERT INTO runs.webhooks (id, pipeline_id, run_id, url, secret) VALUES (%s, %s, %s, %s, %s) "  # noqa: S608  # constant columns
        f"RETURNING {WEBHOOK_COLUMNS}",
        (webhook_id, wanted.pipeline_id, wanted.run_id, wanted.url, secret),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row


async def insert_delivery(connection: Connection, webhook_id: UUID, run_id: UUID) -> None:
    """Of a run that has ended already; of any other the trigger makes it."""
    await connection.execute(
        "INSERT INTO runs.webhook_deliveries (webhook_id, run_id) VALUES (%s, %s)", (webhook_id, run_id)
    )


async def load_webhook(connection: Connection, webhook_id: UUID) -> dict[str, Any] | None:
    cursor = await connection.execute(
        f"SELECT {WEBHOOK_COLUMNS} FROM runs.webhooks WHERE id = %s",  # noqa: S608  # constant columns
        (webhook_id,),
    )
    return await cursor.fetchone()


async def load_webhooks(connection: Connection, wanted: WebhooksList) -> list[dict[str, Any]]:
    """One page; one more than asked tells that there is another page."""
    follows, order = direction_of(wanted.sort)
    conditions = {
        "pipeline_id": "pipeline_id = %(pipeline_id)s",
        "run_id": "run_id = %(run_id)s",
        "after": f"id {follows} %(after)s",
    }
    cursor = await connection.execute(
        f"SELECT {WEBHOOK_COLUMNS} FROM runs.webhooks "  # noqa: S608  # constant columns and conditions
        f"{where(conditions, wanted)} ORDER BY id {order} LIMIT %(limit)s",
        wanted.model_dump() | {"limit": wanted.limit + 1},
    )
    return await cursor.fetchall()


async def delete_webhook(connection: Connection, webhook_id: UUID) -> dict[str, Any] | None:
    """With its deliveries; returns what it was."""
    cursor = await connection.execute(
        f"DELETE FROM runs.webhooks WHERE id = %s RETURNING {WEBHOOK_COLUMNS}",  # noqa: S608  # constant columns
        (webhook_id,),
    )
    return await cursor.fetchone()


async def load_delivery(connection: Connection, delivery_id: UUID) -> dict[str, Any] | None:
    cursor = await connection.execute(
        f"SELECT {DELIVERY_COLUMNS} FROM runs.webhook_deliveries WHERE id = %s",  # noqa: S608  # constant columns
        (delivery_id,),
    )
    return await cursor.fetchone()


async def load_deliveries(connection: Connection, wanted: WebhookDeliveriesList) -> list[dict[str, Any]]:
    """One page; one more than asked tells that there is another page."""
    follows, order = direction_of(wanted.sort)
    conditions = {
        "webhook_id": "webhook_id = %(webhook_id)s",
        # A constant, by which Postgres sees that an index of those that were not delivered has all of these.
        "status": f"status = '{wanted.status}'",
        "after": f"id {follows} %(after)s",
    }
    cursor = await connection.execute(
        f"SELECT {DELIVERY_COLUMNS} FROM runs.webhook_deliveries "  # noqa: S608  # constant columns and conditions
        f"{where(conditions, wanted)} ORDER BY id {order} LIMIT %(limit)s",
        wanted.model_dump() | {"limit": wanted.limit + 1},
    )
    return await cursor.fetchall()


async def send_again(connection: Connection, delivery_id: UUID) -> None:
    """Due now, with all its attempts; one that is out at this moment stays as it is."""
    await connection.execute(
        "UPDATE runs.webhook_deliveries SET status = 'pending', failures = 0, next_attempt_at = clock_timestamp(), "
        "finished_at = NULL WHERE id = %s AND sent_at IS NULL",
        (delivery_id,),
    )


async def output_bytes(connection: Connection, run_id: UUID, keys: Sequence[str]) -> int:
    """About how large the outputs of these nodes are; what has a row of its own counts as 256 KiB."""
    cursor = await connection.execute(
        "SELECT coalesce(sum(coalesce(octet_length(output::text), 262144)), 0)::bigint AS size "
        "FROM runs.node_results WHERE run_id = %s AND node_key = ANY(%s) AND status = 'completed'",
        (run_id, list(keys)),
    )
    row = await cursor.fetchone()
    assert row is not None
    size: int = row["size"]
    return size
