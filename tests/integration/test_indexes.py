"""What is few among many is found by an index, not by looking at all."""

from __future__ import annotations

import psycopg
import pytest

from services.coordinator.store.reading import STATUS_IS
from shared.contracts.states import RunStatus

#: Of these few end otherwise than the many.
RUNS = """
INSERT INTO runs.pipeline_runs (id, pipeline_slug, status, input, request_sha256, unfinished, finished_at)
SELECT runs.new_id(), 'often', 'completed', '{}', '', 0, now() FROM generate_series(1, 20000);
ANALYZE runs.pipeline_runs
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


@pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.COMPLETED])
async def test_runs_of_an_unusual_status_are_found_by_an_index(database_url: str, status: RunStatus) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        # These rows name no version, as only a refused request does.
        await connection.execute("ALTER TABLE runs.pipeline_runs DROP CONSTRAINT started_has_version")
        await connection.execute(RUNS)

        plan = await connection.execute(
            f"EXPLAIN SELECT id FROM runs.pipeline_runs WHERE {STATUS_IS[status]} ORDER BY id DESC LIMIT 51"
        )

        lines = "".join(line for (line,) in await plan.fetchall())
        assert ("unusual_ends" if status.is_final else "unended_runs") in lines, lines
