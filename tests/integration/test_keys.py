"""API keys against a real table: believed for a while and no longer, and written about beside the requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.gateway import key_store
from services.gateway.keys import BELIEVED_S, Keys, UnauthorizedError
from services.gateway.last_uses import WRITE_AGAIN_AFTER_S
from shared.contracts.api_keys import MadeApiKey, NewApiKey, Scope
from shared.errors import NotFoundError, UnavailableError
from shared.postgres import Pool, make_pool
from tests.eventually import eventually


class HandClock:
    """Both kinds of clock; goes when it is told to."""

    def __init__(self) -> None:
        self.began = datetime.now(UTC)
        self.passed_s = 0.0

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.passed_s)

    def __call__(self) -> float:
        return 1000.0 + self.passed_s


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = make_pool(database_url, "tests", 2)
    await pool.open(wait=True, timeout=30)
    yield pool
    await pool.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def keys(pool: Pool, clock: HandClock) -> Keys:
    return Keys(pool, None, clock, clock)


async def make(keys: Keys, *scopes: Scope, expires_at: datetime | None = None) -> MadeApiKey:
    return await keys.make(
        NewApiKey(name="tests", scopes=frozenset(scopes or [Scope.RUNS_READ]), expires_at=expires_at)
    )


async def is_taken(keys: Keys, made: MadeApiKey) -> bool:
    try:
        return (await keys.check(f"Bearer {made.key}")).id == made.id
    except UnauthorizedError:
        return False


async def test_a_key_says_who_calls_and_what_that_one_may(keys: Keys) -> None:
    made = await make(keys, Scope.RUNS_START, Scope.RUNS_READ)

    caller = await keys.check(f"Bearer {made.key}")

    assert (caller.id, caller.name, caller.scopes) == (made.id, "tests", {Scope.RUNS_START, Scope.RUNS_READ})


async def test_a_revoked_key_is_refused_at_once_here_and_soon_elsewhere(
    keys: Keys, pool: Pool, clock: HandClock
) -> None:
    elsewhere = Keys(pool, None, clock, clock)
    made = await make(keys)
    assert await is_taken(keys, made)
    assert await is_taken(elsewhere, made)

    await keys.revoke(made.id)

    assert not await is_taken(keys, made)
    assert await is_taken(elsewhere, made)
    clock.passed_s += BELIEVED_S
    assert not await is_taken(elsewhere, made)


async def test_a_lookup_that_meets_a_revocation_is_not_believed_after_it(keys: Keys) -> None:
    for _ in range(100):
        made = await make(keys)
        await asyncio.gather(is_taken(keys, made), keys.revoke(made.id), is_taken(keys, made))
        assert not await is_taken(keys, made)


async def test_all_who_ask_for_one_key_at_once_share_a_lookup(keys: Keys, pool: Pool) -> None:
    made = await make(keys)
    before = pool.get_stats()["requests_num"]

    taken = await asyncio.gather(*(is_taken(keys, made) for _ in range(500)))

    assert all(taken)
    assert pool.get_stats()["requests_num"] - before == 1


async def test_a_caller_that_goes_away_does_not_end_the_lookup_of_the_others(keys: Keys, pool: Pool) -> None:
    made = await make(keys)
    async with pool.connection(), pool.connection():
        first, second = (asyncio.create_task(is_taken(keys, made)) for _ in range(2))
        await eventually(lambda: pool.get_stats()["requests_waiting"] == 1, "the lookup waiting for a connection")
        first.cancel()

    assert await second


async def test_a_key_is_not_believed_beyond_its_end(pool: Pool) -> None:
    keys = Keys(pool, None)
    made = await make(keys, expires_at=datetime.now(UTC) + timedelta(seconds=1))
    assert await is_taken(keys, made)

    async def expired() -> bool:
        return not await is_taken(keys, made)

    await eventually(expired, "the end of the key", timeout_s=BELIEVED_S - 1)


async def test_keys_are_listed_newest_first_in_pages(keys: Keys) -> None:
    made = []
    for _ in range(5):
        made.append((await make(keys)).id)

    first = await keys.page(2)
    second = await keys.page(2, first.next_after)
    third = await keys.page(2, second.next_after)

    assert sorted(made) == sorted(key.id for page in (first, second, third) for key in page.keys)
    ids = [key.id for page in (first, second, third) for key in page.keys]
    assert ids == sorted(ids, reverse=True)
    assert [page.next_after is None for page in (first, second, third)] == [False, False, True]


async def test_a_full_last_page_has_no_next(keys: Keys) -> None:
    for _ in range(2):
        await make(keys)

    assert (await keys.page(2)).next_after is None


async def test_revoking_again_keeps_the_first_time(keys: Keys) -> None:
    made = await make(keys)
    await keys.revoke(made.id)
    first = await keys.get(made.id)

    await keys.revoke(made.id)

    assert first.revoked_at is not None
    assert await keys.get(made.id) == first


async def test_a_key_that_is_not_there_is_named(keys: Keys) -> None:
    key_id = uuid4()
    for ask in (keys.get, keys.revoke):
        with pytest.raises(NotFoundError, match=str(key_id)):
            await ask(key_id)


async def test_what_is_stored_does_not_hold_the_key(keys: Keys, pool: Pool) -> None:
    made = await make(keys)
    await is_taken(keys, made)

    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT api_keys::text AS row FROM gateway.api_keys")
        rows = "".join(row["row"] for row in await cursor.fetchall())
    assert str(made.id) in rows
    assert made.key.removeprefix("pw_") not in rows


async def test_last_use_is_written_once_a_minute_and_not_by_the_request(
    keys: Keys, pool: Pool, clock: HandClock
) -> None:
    made = await make(keys)
    written = []
    for passed_s in (0.0, 1.0, WRITE_AGAIN_AFTER_S - 1, WRITE_AGAIN_AFTER_S, WRITE_AGAIN_AFTER_S + 1):
        clock.passed_s = passed_s
        await is_taken(keys, made)
        await keys.last_uses.write()
        at = (await keys.get(made.id)).last_used_at
        assert at is not None
        written.append((at - clock.began).total_seconds())

    assert written == [0.0, 0.0, 0.0, WRITE_AGAIN_AFTER_S, WRITE_AGAIN_AFTER_S]


async def test_a_use_within_the_minute_is_written_when_it_is_over(keys: Keys, clock: HandClock) -> None:
    made = await make(keys)
    await is_taken(keys, made)
    await keys.last_uses.write()
    clock.passed_s = 30.0
    await is_taken(keys, made)

    clock.passed_s = WRITE_AGAIN_AFTER_S
    await keys.last_uses.write()

    assert (await keys.get(made.id)).last_used_at == clock.began + timedelta(seconds=30)


async def test_a_request_alone_writes_nothing(keys: Keys, pool: Pool) -> None:
    made = await make(keys)
    await is_taken(keys, made)

    assert (await keys.get(made.id)).last_used_at is None


async def test_many_uses_are_one_statement_and_time_never_goes_back(keys: Keys, pool: Pool) -> None:
    made = [await make(keys) for _ in range(20)]
    late, early = datetime(2024, 5, 6, tzinfo=UTC), datetime(2024, 5, 5, tzinfo=UTC)

    async with pool.connection() as connection:
        await key_store.save_uses(connection, {key.id: late for key in made} | {uuid4(): late})
        await key_store.save_uses(connection, {key.id: early for key in made})

    assert {key.last_used_at for key in (await keys.page(50)).keys} == {late}


async def test_while_postgres_is_away_a_key_cannot_be_told(keys: Keys, pool: Pool) -> None:
    made = await make(keys)
    await pool.close()
    away = make_pool("postgresql://nobody@127.0.0.1:1/nowhere", "tests", 1)
    away.timeout = 0.2
    await away.open()
    with pytest.raises(UnavailableError) as caught:
        await Keys(away, None).check(f"Bearer {made.key}")
    await away.close()
    assert caught.value.problem.retry_after_s
