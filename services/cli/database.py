"""Commands that speak to Postgres themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from services.cli.address import data_dir_of, database_url_of
from services.cli.output import EXIT_UNAVAILABLE, fail

if TYPE_CHECKING:
    from shared.postgres import Connection

Value = TypeVar("Value")


def in_database(data_dir: Path | None, use: Callable[[Connection], Awaitable[Value]]) -> Value:
    """Connect, use the connection, close; what goes wrong is told in words."""
    url = database_url_of(data_dir_of(data_dir))
    import psycopg
    from psycopg.rows import dict_row

    async def main() -> Value:
        options: dict[str, Any] = {"connect_timeout": 10, "application_name": "pipewright-command"}
        async with await psycopg.AsyncConnection.connect(
            url, autocommit=True, row_factory=dict_row, options="-c timezone=UTC", **options
        ) as connection:
            return await use(connection)

    try:
        return asyncio.run(main())
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.InvalidSchemaName,
    ) as error:
        raise fail("the database does not have all tables yet. Run 'pipewright migrate'.", EXIT_UNAVAILABLE) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise fail(f"this role may not do that ({str(error).strip()}). Use that of 'pipewright migrate'.") from error
    except psycopg.OperationalError as error:
        raise fail(f"Postgres does not answer: {str(error).strip()}", EXIT_UNAVAILABLE) from error
