"""Postgres: one pool a service, JSON by orjson, and plain numbered SQL files as migrations."""

from __future__ import annotations

import asyncio
import hashlib
import select
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from shared.errors import InvalidError, UnavailableError

#: What a service uses: rows come as dictionaries.
Connection = psycopg.AsyncConnection[dict[str, Any]]
Pool = AsyncConnectionPool[Connection]

#: Any number: the key of the advisory lock that lets one migration run at a time.
MIGRATION_LOCK = 7_420_190_611
#: No statement of ours comes near it; it ends what hangs.
STATEMENT_TIMEOUT_MS = 30_000


def use_orjson() -> None:
    """Let psycopg read and write JSON with orjson, everywhere in this process."""
    set_json_dumps(orjson.dumps)
    set_json_loads(orjson.loads)


def as_json(value: Any) -> str:
    """The one JSON parameter of a set-based statement."""
    return orjson.dumps(value).decode()


def unstorable(error: psycopg.DataError) -> InvalidError:
    """What is told whoever asked for something with a value that Postgres cannot take, such as U+0000."""
    reason = str(error).splitlines()[0]
    return InvalidError("unstorable_value", f"A value of the request cannot be stored or looked for: {reason}.")


def direction_of(order: str) -> tuple[str, str]:
    """How an item follows another one in this order, and how SQL sorts by it; a minus stands for descending."""
    return ("<", "DESC") if order.startswith("-") else (">", "ASC")


def where(conditions: Mapping[str, str], wanted: object) -> str:
    """The conditions, by the field that each is on, of those fields that are given: one that may or may not count
    would hide from Postgres which index finds what is wanted."""
    given = [condition for field, condition in conditions.items() if getattr(wanted, field) is not None]
    return f"WHERE {' AND '.join(given)}" if given else ""


async def _configure(connection: Connection) -> None:
    await connection.set_autocommit(True)


async def _check(connection: Connection) -> None:
    """Raises when the server has ended it: an idle connection has nothing to read but that. Costs no round trip."""
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    if readable:
        await AsyncConnectionPool.check_connection(connection)


#: After so long a pool gives up a connection that it tries to make, each time after twice the wait before, and begins
#: anew with the next who asks for one: so that none is waited for minutes when Postgres is back after minutes.
RECONNECT_S = 5.0
#: A service that starts waits so long for Postgres.
OPEN_S = 60.0
#: Times that psycopg sees a statement before it prepares it, unless it is told to at once.
PREPARE_AFTER = 5
#: Every statement of a service goes by an index; without these, one that was prepared while its tables were
#: empty would go on reading whole tables until the next ANALYZE.
PLANNER = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"


class LastUsedFirst(AsyncConnectionPool[Connection]):
    """Gives the connection that came back last, where psycopg gives them in turn: its process of Postgres has in its
    caches what the next statement needs, and those that are not needed stay unused until they are closed."""

    async def _get_ready_connection(self, timeout: float | None) -> Connection | None:
        """psycopg takes the first; there is no other place for this."""
        self._pool.rotate(1)
        return await super()._get_ready_connection(timeout)


def make_pool(database_url: str, application: str, size: int = 4, *, prepares_itself: bool = False) -> Pool:
    """A pool, not yet open; connections are in autocommit mode, so transactions are always spelled out.

    `prepares_itself` is for who prepares statements by names of its own: psycopg then prepares none, since it would
    drop all of the session when a transaction is rolled back.
    """
    use_orjson()
    return LastUsedFirst(
        database_url,
        connection_class=psycopg.AsyncConnection[dict[str, Any]],
        kwargs={
            "row_factory": dict_row,
            "application_name": f"pipewright-{application}",
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC {PLANNER}",
            "keepalives_idle": 10,
            "tcp_user_timeout": 15_000,
            "prepare_threshold": None if prepares_itself else PREPARE_AFTER,
        },
        configure=_configure,
        check=_check,
        min_size=1,
        max_size=size,
        timeout=10,
        reconnect_timeout=RECONNECT_S,
        open=False,
    )


@asynccontextmanager
async def opened(pool: Pool) -> AsyncIterator[None]:
    """The pool open while it is entered, from when Postgres lets us in; PoolTimeout after a minute, since whoever
    started this process will do so again."""
    await pool.open()
    clock = asyncio.get_running_loop().time
    end = clock() + OPEN_S
    while True:
        try:
            async with pool.connection(timeout=RECONNECT_S):
                break
        except PoolTimeout:
            if clock() > end:
                raise
    try:
        yield
    finally:
        await pool.close()


@asynccontextmanager
async def connection_for(pool: Pool, what: str = "The database is not available now.") -> AsyncIterator[Connection]:
    """A connection for an answer, whose troubles are told: `what` when Postgres is away, or what cannot be stored."""
    try:
        async with pool.connection() as connection:
            yield connection
    except psycopg.DataError as error:
        raise unstorable(error) from error
    except psycopg.OperationalError as error:
        raise database_unavailable(what) from error


def database_unavailable(what: str) -> UnavailableError:
    return UnavailableError("database_unavailable", f"{what} Try again in a few seconds.", retry_after_s=2.0)


class MigrationError(Exception):
    """A migration cannot be applied; the message names the file."""


async def migrate(database_url: str, schema: str, folder: Path) -> list[str]:
    """Apply the `.sql` files that `schema` has not seen, each in a transaction; returns their names.

    Safe to run twice and at once (advisory lock). A file that was changed after it was applied is refused.
    """
    applied: list[str] = []
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        known = await _known_migrations(connection, schema)
        for path in sorted(folder.glob("*.sql")):
            text = path.read_text(encoding="utf-8")
            digest = hashlib.sha256(text.encode()).hexdigest()
            if path.name not in known:
                await _apply(connection, schema, path.name, text, digest)
                applied.append(path.name)
            elif known[path.name] != digest:
                raise MigrationError(f"{schema}: {path.name} was changed after it was applied. Add a new file instead.")
    return applied


async def _known_migrations(connection: psycopg.AsyncConnection[Any], schema: str) -> dict[str, str]:
    name = sql.Identifier(schema)
    await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
    await connection.execute(
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {}.migrations "
            "(name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        ).format(name)
    )
    cursor = await connection.execute(sql.SQL("SELECT name, sha256 FROM {}.migrations").format(name))
    rows: Sequence[tuple[str, str]] = await cursor.fetchall()
    return dict(rows)


async def _apply(connection: psycopg.AsyncConnection[Any], schema: str, name: str, text: str, digest: str) -> None:
    async with connection.transaction():
        await connection.execute(text.encode())
        await connection.execute(
            sql.SQL("INSERT INTO {}.migrations (name, sha256) VALUES (%s, %s)").format(sql.Identifier(schema)),
            (name, digest),
        )
