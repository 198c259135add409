"""Prepared statements that travel to Postgres together: one message, one wait for all their answers.

psycopg's pipeline turns the event loop once a statement, which takes longer than a small statement itself. Here each
statement is prepared under its name once a connection, and libpq's pipeline sends any number of them at once; each
begins with a snapshot of its own, as it does anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakSet

from psycopg import OperationalError, adapt, generators
from psycopg.abc import PQGen, Transformer
from psycopg.adapt import PyFormat
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from services.coordinator.store.queries import query
from shared.postgres import Connection

#: Name of the file -> types of its parameters.
STATEMENTS = {
    "lock_runs": "uuid[]",
    "load_nodes": "json",
    "load_queued": "json",
    "save_payloads": "json",
    "queue_nodes": "json",
    "save_decision": "json, json, int, int",
    "save_attempts": "json",
    "renew_dispatches": "json",
    "close_nodes": "uuid[]",
    "load_outputs": "json, bigint",
    "find_deliveries": "uuid[]",
    "insert_runs": "json, json",
    "extend_leases": "json, double precision",
    "read_runs": "uuid[]",
    "read_nodes": "uuid, text[]",
    "read_attempts": "uuid, text[]",
}

#: What opens a transaction: each statement sees what is committed when it begins, or all see the same moment.
BEGIN = "BEGIN"
BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

_prepared: WeakSet[Connection] = WeakSet()

Rows = list[dict[str, Any]]


class Call(NamedTuple):
    """A statement with its parameters; lists of ids are written as Postgres writes arrays."""

    name: str
    parameters: tuple[Any, ...]


def id_array(ids: Sequence[str]) -> str:
    """UUIDs as the text of an array."""
    return f"{{{','.join(ids)}}}"


async def execute(connection: Connection, name: str, *parameters: Any) -> Rows:
    """The rows of one statement."""
    [rows] = await execute_together(connection, [Call(name, parameters)])
    return rows


async def execute_together(
    connection: Connection, calls: Sequence[Call], *, begins: str = "", commits: bool = False
) -> list[Rows]:
    """The rows of each call, in their order; a call that fails ends the transaction with its error.

    `begins` is what opens a transaction before them, `commits` ends it behind them. What goes wrong between the two
    is rolled back by whoever gave the connection.
    """
    if connection not in _prepared:
        await _prepare(connection)
    # What is sent at once is a transaction anyway.
    opening, closing = ("", "") if begins == BEGIN and commits else (begins, "COMMIT" if commits else "")
    transformer = adapt.Transformer(connection)
    async with connection.lock:
        results = await _exchange(connection, transformer, opening, calls, closing)
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result, connection.info.encoding)
    of_calls = results[1:] if opening else results
    return [_rows(transformer, result) for result in of_calls[: len(calls)]]


async def _exchange(
    connection: Connection, transformer: Transformer, opening: str, calls: Sequence[Call], closing: str
) -> list[PGresult]:
    """Closes the connection when the answers do not come: some of it may still be under way."""
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    try:
        if opening:
            pgconn.send_query_params(opening.encode(), None)
        for call in calls:
            texts = transformer.dump_sequence(call.parameters, [PyFormat.TEXT] * len(call.parameters))
            pgconn.send_query_prepared(call.name.encode(), texts)
        if closing:
            pgconn.send_query_params(closing.encode(), None)
        pgconn.pipeline_sync()
        results = await connection.wait(_answers(pgconn))
        pgconn.exit_pipeline_mode()
    except BaseException:
        pgconn.finish()
        raise
    return results


def _answers(pgconn: PGconn) -> PQGen[list[PGresult]]:
    """One of each statement; a cursor of psycopg for each would take longer than all else here."""
    yield from generators.send(pgconn)
    results: list[PGresult] = []
    while found := (yield from generators.fetch_many(pgconn)):
        results += found
        if found[0].status == ExecStatus.PIPELINE_SYNC:
            return results
    raise OperationalError("the connection to Postgres was lost")


def _rows(transformer: Transformer, result: PGresult) -> Rows:
    if not result.ntuples:
        return []
    transformer.set_pgresult(result)
    names = [(result.fname(index) or b"").decode() for index in range(result.nfields)]
    return transformer.load_rows(0, result.ntuples, lambda values: dict(zip(names, values, strict=True)))


async def _prepare(connection: Connection) -> None:
    texts = [f"PREPARE {name} ({types}) AS ".encode() + query(name) for name, types in STATEMENTS.items()]
    await connection.execute(b"; ".join(texts))
    _prepared.add(connection)
