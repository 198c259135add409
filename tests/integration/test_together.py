"""Prepared statements that travel together: what goes there, and what comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from services.coordinator.store.starting import insert_runs
from services.coordinator.store.together import BEGIN, BEGIN_READING, Call, execute, execute_together, id_array
from shared.clock import new_id
from shared.postgres import Connection, as_json, make_pool
from tests.eventually import eventually
from tests.integration.engine import Engine

NOTES = ["it's", 'say "so"', r"C:\new\table", "two\nlines", "ünï¢ode ☃", "%s and $1"]


async def test_texts_come_back_as_they_went(engine: Engine, database_url: str) -> None:
    runs = [_refused(note) for note in NOTES]
    async with make_pool(database_url, "test", 1, prepares_itself=True) as pool, pool.connection() as connection:
        await insert_runs(connection, runs, {})
        rows = await execute(connection, "read_runs", [run["id"] for run in runs])

    assert {str(row["id"]): row["input"] for row in rows} == {run["id"]: run["input"] for run in runs}
    assert all(row["created_at"].tzinfo is not None for row in rows)


async def test_each_call_has_the_rows_of_its_own(engine: Engine, database_url: str) -> None:
    await engine.apply("two", "ab")
    run_id = await engine.start("two")
    calls = [
        Call("read_runs", ([str(new_id())],)),
        Call("read_nodes", (run_id, None)),
        Call("read_nodes", (run_id, ["b"])),
        Call("read_runs", ([run_id],)),
    ]
    async with make_pool(database_url, "test", 1, prepares_itself=True) as pool, pool.connection() as connection:
        nobody, nodes, one, run = await execute_together(connection, calls, begins=BEGIN_READING, commits=True)

        assert connection.info.transaction_status is TransactionStatus.IDLE
    assert nobody == []
    assert {row["node_key"] for row in nodes} == {"a", "b"}
    assert [row["node_key"] for row in one] == ["b"]
    assert [row["id"] for row in run] == [run_id]


@pytest.mark.parametrize(("commits", "left"), [(True, TransactionStatus.IDLE), (False, TransactionStatus.INERROR)])
async def test_call_that_fails_ends_the_transaction_with_its_error(
    engine: Engine, database_url: str, commits: bool, left: TransactionStatus
) -> None:
    run = _refused("never kept")
    calls = [Call("insert_runs", (as_json([run]), "[]")), Call("insert_runs", ("no JSON", "[]"))]
    async with make_pool(database_url, "test", 1, prepares_itself=True) as pool, pool.connection() as connection:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="json"):
            await execute_together(connection, calls, begins=BEGIN, commits=commits)
        assert connection.info.transaction_status is left
        await connection.rollback()

        assert await execute(connection, "read_runs", [run["id"]]) == []


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_connection_whose_answers_do_not_come_is_closed(
    engine: Engine, database_url: str, is_cancelled: bool
) -> None:
    """By whoever waits for it, or by Postgres; the pool gives another one."""
    await engine.apply("locked", "a")
    run_id = await engine.start("locked")
    async with make_pool(database_url, "test", 2, prepares_itself=True) as pool, pool.connection() as other:
        await execute_together(other, [Call("lock_runs", (id_array([str(run_id)]),))], begins=BEGIN)
        async with pool.connection() as connection:
            waiting = asyncio.create_task(execute(connection, "lock_runs", id_array([str(run_id)])))
            await eventually(lambda: _is_waiting(engine, connection), "the statement to wait for the lock")
            if is_cancelled:
                waiting.cancel()
            else:
                await engine.query("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
            with pytest.raises(asyncio.CancelledError if is_cancelled else psycopg.OperationalError):
                await waiting
            assert connection.closed
        await other.rollback()
        async with pool.connection() as connection:
            assert len(await execute(connection, "lock_runs", id_array([str(run_id)]))) == 1


async def _is_waiting(engine: Engine, connection: Connection) -> bool:
    asked = "SELECT pid FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    return bool(await engine.query(asked, connection.info.backend_pid))


def _refused(note: str) -> dict[str, Any]:
    """A run that failed at its start: it needs no version."""
    return {
        "id": str(new_id()),
        "pipeline_slug": "greeting",
        "status": "failed",
        "input": {"note": note},
        "request_sha256": "00" * 32,
        "unfinished": 0,
        "lanes": {},
        "error": {"code": "refused", "message": note},
    }
