"""What Postgres and its pool do wrong by default after a restart or a freeze, and what users see of it here."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.eventually import eventually
from tests.faults.system import System
from tests.stack import API_KEY

#: More than a service has connections to Postgres.
REQUESTS = 12
#: A request is given 10 s; a cancelled statement of a frozen Postgres would take as long again.
MOST_S = 13


@pytest.fixture
async def api(faulty: System) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(base_url=f"{faulty.stack.gateway}/api/v3", headers=headers, timeout=60) as client:
        yield client


async def is_ready(api: httpx.AsyncClient) -> bool:
    return (await api.get("/ready")).status_code == 200


async def read_all(api: httpx.AsyncClient) -> list[tuple[int, float]]:
    """Status and seconds of many requests at once, to both services that have tables."""

    async def read(path: str) -> tuple[int, float]:
        began = time.monotonic()
        answer = await api.get(path)
        return answer.status_code, time.monotonic() - began

    paths = ["/pipelines", "/pipeline_runs"] * (REQUESTS // 2)
    return await asyncio.gather(*(read(path) for path in paths))


async def test_no_request_fails_on_connections_that_a_restart_of_postgres_left_behind(
    faulty: System, api: httpx.AsyncClient
) -> None:
    """By default the pool hands each dead connection to somebody, who fails."""
    assert {status for status, _ in await read_all(api)} == {200}
    await faulty.servers.postgres.kill()
    await faulty.servers.postgres.start()
    await eventually(lambda: is_ready(api), "ready again")

    answers = await read_all(api)

    assert {status for status, _ in answers} == {200}


async def test_a_frozen_postgres_is_told_soon_and_as_such(faulty: System, api: httpx.AsyncClient) -> None:
    assert {status for status, _ in await read_all(api)} == {200}
    faulty.servers.postgres.signal(signal.SIGSTOP)
    try:
        answers = await read_all(api)
    finally:
        faulty.servers.postgres.signal(signal.SIGCONT)

    assert {status for status, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < MOST_S
    await eventually(lambda: is_ready(api), "ready again")
    assert {status for status, _ in await read_all(api)} == {200}
