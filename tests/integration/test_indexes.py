"""What is few among many is found by an index, not by looking at all."""

from __future__ import annotations

import psycopg

from services.coordinator.store.reading import STATUS_IS
from shared.contracts.states import DeliveryStatus, RunStatus

WEBHOOK = "00000000-0000-7000-8000-000000000001"
#: Few of all runs, and few of all deliveries, end otherwise than these.
MANY = f"""
ALTER TABLE runs.pipeline_runs DROP CONSTRAINT started_has_version;  -- of a version that is not here
INSERT INTO runs.webhooks (id, pipeline_id, url, secret)
VALUES ('{WEBHOOK}', '00000000-0000-7000-8000-000000000002', 'http://a', sha256('secret'));
INSERT INTO runs.pipeline_runs
       (id, pipeline_id, pipeline_slug, status, input, request_sha256, unfinished, finished_at)
SELECT runs.new_id(), '00000000-0000-7000-8000-000000000002', 'often', 'completed', '{{}}', '', 0, now()
  FROM generate_series(1, 20000);
UPDATE runs.webhook_deliveries SET status = 'delivered', next_attempt_at = NULL, finished_at = now();
ANALYZE runs.pipeline_runs, runs.webhook_deliveries
"""


async def test_what_refers_to_a_row_is_found_by_an_index(database_url: str) -> None:
    """Without one, each row that is deleted is looked for in the whole other table."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        unindexed = await connection.execute(
            """
            SELECT referring.conrelid::regclass::text, referring.conname
              FROM pg_constraint AS referring
             WHERE referring.contype = 'f'
               AND NOT EXISTS (
                   SELECT FROM pg_index AS index
                    WHERE index.indrelid = referring.conrelid
                      AND (index.indkey::int2[])[0:cardinality(referring.conkey) - 1] @> referring.conkey)
            """
        )

        assert await unindexed.fetchall() == []


async def test_what_has_not_ended_well_is_found_by_an_index(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(MANY)

        for status in set(RunStatus) - {RunStatus.COMPLETED}:
            wanted = f"runs.pipeline_runs WHERE {STATUS_IS[status]}"
            assert ("unusual_ends" if status.is_final else "unended_runs") in await plan(connection, wanted)
        for delivery in set(DeliveryStatus) - {DeliveryStatus.DELIVERED}:
            wanted = f"runs.webhook_deliveries WHERE webhook_id = '{WEBHOOK}' AND status = '{delivery}'"
            assert "not_delivered" in await plan(connection, wanted)


async def plan(connection: psycopg.AsyncConnection, wanted: str) -> str:
    found = await connection.execute(f"EXPLAIN SELECT id FROM {wanted} ORDER BY id DESC LIMIT 51")
    return "".join(line for (line,) in await found.fetchall())
