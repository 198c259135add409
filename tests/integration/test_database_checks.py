"""What the tables of runs refuse, whoever asks: a check in the database is the last one."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from services.coordinator.store.starting import insert_runs
from shared.clock import new_id
from shared.contracts.states import RunStatus
from shared.postgres import make_pool
from tests.integration.engine import Engine

CHANGES = {
    "run": "UPDATE runs.pipeline_runs SET status = 'cancelled' RETURNING 1",
    "node result": "UPDATE runs.node_results SET status = 'cancelled', output = NULL RETURNING 1",
}


@pytest.mark.parametrize("name", CHANGES)
async def test_final_status_never_changes(engine: Engine, name: str) -> None:
    await engine.apply("over", "a")
    run_id = await engine.start("over")
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)

    with pytest.raises(psycopg.errors.RestrictViolation, match=f"a {name} that is completed never changes"):
        await engine.query(CHANGES[name])

    run = await engine.read(run_id)
    assert run.status is RunStatus.COMPLETED
    assert await engine.statuses(run_id) == {"a": "completed"}


async def test_run_of_a_version_that_is_not_there_does_not_begin(engine: Engine, database_url: str) -> None:
    run: dict[str, Any] = {
        "id": str(new_id()),
        "pipeline_id": str(new_id()),
        "pipeline_slug": "gone",
        "version_id": str(new_id()),
        "status": "running",
        "input": {},
        "request_sha256": "00" * 32,
        "unfinished": 1,
        "lanes": {},
    }
    async with make_pool(database_url, "test", 1, prepares_itself=True) as pool, pool.connection() as connection:
        with pytest.raises(psycopg.errors.CheckViolation, match="started_has_version"):
            await insert_runs(connection, [run], {"text": 1})

    assert await engine.query("SELECT id FROM runs.pipeline_runs") == []
