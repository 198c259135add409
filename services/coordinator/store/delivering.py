"""SQL of delivering: take what is due, store how attempts ended; each one statement a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from shared.postgres import Connection, as_json

#: A delivery's attempt.
AttemptRef = tuple[str, int]


async def take_due(connection: Connection, lease_s: float, most: int) -> list[dict[str, Any]]:
    """Begin the next attempt of deliveries that are due; no other coordinator takes the same ones."""
    cursor = await connection.execute(
        """
        WITH due AS (
            SELECT id
              FROM runs.webhook_deliveries
             WHERE next_attempt_at <= now() AND sent_at IS NULL
             ORDER BY next_attempt_at
             LIMIT %(most)s
               FOR UPDATE SKIP LOCKED
        )
        UPDATE runs.webhook_deliveries AS delivery
           SET attempt = attempt + 1,
               sent_at = clock_timestamp(),
               next_attempt_at = clock_timestamp() + make_interval(secs => %(lease_s)s)
          FROM due, runs.webhooks AS webhook
         WHERE delivery.id = due.id AND webhook.id = delivery.webhook_id
        RETURNING delivery.id::text AS id, delivery.run_id, delivery.attempt, delivery.sent_at,
                  webhook.url, webhook.secret
        """,
        {"most": most, "lease_s": lease_s},
    )
    return await cursor.fetchall()


async def seconds_to_next(connection: Connection) -> float | None:
    """Until the next delivery is due or is looked for; None when there is none."""
    cursor = await connection.execute(
        "SELECT extract(epoch FROM min(next_attempt_at) - clock_timestamp())::float AS wait_s "
        "FROM runs.webhook_deliveries WHERE next_attempt_at IS NOT NULL",
    )
    row = await cursor.fetchone()
    wait_s: float | None = row["wait_s"] if row is not None else None
    return wait_s


async def load_unheard(connection: Connection) -> list[tuple[str, int, datetime]]:
    """Attempts that went out and were not heard of in time: delivery, attempt, when it went out."""
    cursor = await connection.execute(
        "SELECT id::text AS id, attempt, sent_at FROM runs.webhook_deliveries "
        "WHERE next_attempt_at <= now() AND sent_at IS NOT NULL ORDER BY next_attempt_at LIMIT 1000",
    )
    return [(row["id"], row["attempt"], row["sent_at"]) for row in await cursor.fetchall()]


async def look_later(connection: Connection, attempts: Iterable[AttemptRef], lease_s: float) -> None:
    """These attempts wait for a worker, or are with one."""
    await connection.execute(
        "UPDATE runs.webhook_deliveries AS delivery "
        "SET next_attempt_at = clock_timestamp() + make_interval(secs => %s) "
        "FROM json_to_recordset(%s::json) AS out (id uuid, attempt int) "
        "WHERE delivery.id = out.id AND delivery.attempt = out.attempt AND delivery.sent_at IS NOT NULL",
        (lease_s, as_json(_rows(attempts))),
    )


async def put_back(connection: Connection, attempts: Iterable[AttemptRef], delay_s: float) -> None:
    """These attempts never left: they are due again after the delay, and count for nothing."""
    await connection.execute(
        "UPDATE runs.webhook_deliveries AS delivery "
        "SET sent_at = NULL, next_attempt_at = clock_timestamp() + make_interval(secs => %s) "
        "FROM json_to_recordset(%s::json) AS out (id uuid, attempt int) "
        "WHERE delivery.id = out.id AND delivery.attempt = out.attempt AND delivery.sent_at IS NOT NULL",
        (delay_s, as_json(_rows(attempts))),
    )


async def lock_out(connection: Connection, attempts: Iterable[AttemptRef]) -> dict[AttemptRef, int]:
    """Those of these attempts that are still out, locked, with the failures before each."""
    cursor = await connection.execute(
        "SELECT delivery.id::text AS id, delivery.attempt, delivery.failures "
        "FROM json_to_recordset(%s::json) AS out (id uuid, attempt int) "
        "JOIN runs.webhook_deliveries AS delivery ON delivery.id = out.id AND delivery.attempt = out.attempt "
        "WHERE delivery.sent_at IS NOT NULL ORDER BY delivery.id FOR UPDATE OF delivery",
        (as_json(_rows(attempts)),),
    )
    return {(row["id"], row["attempt"]): row["failures"] for row in await cursor.fetchall()}


async def save_ends(connection: Connection, ends: Sequence[dict[str, Any]]) -> None:
    """Ends of attempts that were locked; one that is gone disables its webhook."""
    await connection.execute(
        """
        WITH ended AS (
            SELECT *
              FROM json_to_recordset(%s::json) AS ended (
                       id uuid, status runs.delivery_status, delay_s double precision, failures int,
                       http_status int, error text, is_gone boolean
                   )
        ), saved AS (
            UPDATE runs.webhook_deliveries AS delivery
               SET status = ended.status,
                   failures = ended.failures,
                   sent_at = NULL,
                   next_attempt_at = clock_timestamp() + make_interval(secs => ended.delay_s),
                   last_status = ended.http_status,
                   last_error = ended.error,
                   finished_at = CASE WHEN ended.status <> 'pending' THEN clock_timestamp() END
              FROM ended
             WHERE delivery.id = ended.id AND delivery.status = 'pending'
            RETURNING delivery.webhook_id, ended.is_gone
        )
        UPDATE runs.webhooks SET disabled_at = clock_timestamp()
         WHERE disabled_at IS NULL AND id IN (SELECT webhook_id FROM saved WHERE is_gone)
        """,
        (as_json(ends),),
    )


def _rows(attempts: Iterable[AttemptRef]) -> list[dict[str, Any]]:
    return [{"id": delivery_id, "attempt": attempt} for delivery_id, attempt in attempts]
