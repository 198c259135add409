"""Setting up a database that was just started."""

from __future__ import annotations

import psycopg
import pytest

from services.cli import setup


class Starting:
    """A server that takes no sessions for the first `count` tries."""

    def __init__(self, count: int) -> None:
        self.left = count

    async def migrate_all(self, database_url: str) -> dict[str, list[str]]:
        if self.left:
            self.left -= 1
            raise psycopg.OperationalError("the database system is starting up")
        return {}


async def test_a_database_that_is_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    server = Starting(2)
    monkeypatch.setattr(setup, "migrate_all", server.migrate_all)

    await setup.migrate_patiently("postgresql://there")

    assert server.left == 0


async def test_a_database_that_takes_no_sessions_for_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(setup, "migrate_all", Starting(1000).migrate_all)
    monkeypatch.setattr(setup, "RECOVERY_S", 0.1)

    with pytest.raises(psycopg.OperationalError, match="starting up"):
        await setup.migrate_patiently("postgresql://there")
