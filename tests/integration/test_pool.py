"""Which connection of a pool is given."""

from __future__ import annotations

from shared.postgres import Pool, make_pool


async def test_the_connection_that_came_back_last_is_given_first(database_url: str) -> None:
    async with make_pool(database_url, "test", 3) as pool:
        # Nobody gives one back before all have one, so there are three.
        first, second, third = await pool.getconn(), await pool.getconn(), await pool.getconn()
        last = second.info.backend_pid
        for connection in (third, first, second):
            await pool.putconn(connection)
        assert [await _process(pool) for _ in range(5)] == [last] * 5


async def test_whoever_asks_while_it_is_in_use_gets_another_one(database_url: str) -> None:
    async with make_pool(database_url, "test", 2) as pool, pool.connection() as one, pool.connection() as other:
        assert one.info.backend_pid != other.info.backend_pid


async def _process(pool: Pool) -> int:
    async with pool.connection() as connection:
        return connection.info.backend_pid
