"""SQL of retention: whole runs that ended long ago, deleted by a function that may do nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from shared.postgres import Connection

#: A batch takes a fraction of a second.
BATCH_RUNS = 1000
BATCH_NODES = 10_000


async def delete_batch(
    connection: Connection, keep: timedelta, most_runs: int = BATCH_RUNS, most_nodes: int = BATCH_NODES
) -> Counter[str] | None:
    """Delete the oldest of those that ended longer ago; rows by table, or None while somebody else is at it."""
    cursor = await connection.execute(
        "SELECT runs.delete_expired(%s, %s, %s) AS deleted", (keep, most_runs, most_nodes)
    )
    row = await cursor.fetchone()
    assert row is not None
    return Counter(row["deleted"]) if row["deleted"] is not None else None


async def count_expired(connection: Connection, keep: timedelta) -> int:
    """Runs that would be deleted."""
    cursor = await connection.execute(
        "SELECT count(*) AS count FROM runs.expired_runs(clock_timestamp() - %s::interval)", (keep,)
    )
    row = await cursor.fetchone()
    assert row is not None
    count: int = row["count"]
    return count
