"""A process that is frozen between the beginning of its work and its request sends nothing of runs that ended then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.executors.kit.addresses import read_allowed
from services.executors.kit.attempt import Attempts
from services.executors.kit.child import RenderPool
from services.executors.kit.node_type import NodeContext
from services.executors.kit.outbound import OutboundClient
from tests.http_server import Server
from tests.unit.executors.attempts import AnyConfig, always, attempts_of, ready, rendering, type_that

WORK = {"text": "x"}


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[RenderPool]:
    async with rendering() as made:
        yield made


@pytest.fixture
async def attempts(server: Server, pool: RenderPool) -> AsyncIterator[Attempts]:
    """Of a type that sends two requests."""
    async with OutboundClient(read_allowed(["127.0.0.1"])) as client:

        async def execute(config: AnyConfig, context: NodeContext) -> dict[str, Any]:
            for path in ("/first", "/second"):
                request = client.build_request("GET", httpx.URL(server.url + path), headers={}, timeout_s=5)
                await client.exchange(request, httpx.Response.aread)
            return {}

        yield attempts_of(type_that(execute), pool)


async def test_requests_leave_while_the_run_goes_on(server: Server, attempts: Attempts):
    assert await attempts.run(await attempts.prepare(ready(WORK)), always) is not None
    assert [request.target for request in server.requests] == ["/first", "/second"]


@pytest.mark.parametrize(("asked_before", "sent"), [(1, []), (2, ["/first"])])
async def test_no_request_leaves_once_the_run_has_ended(
    server: Server, attempts: Attempts, asked_before: int, sent: list[str]
):
    asked = 0

    async def goes_on(run_id: str) -> bool:
        nonlocal asked
        asked += 1
        return asked <= asked_before

    with pytest.raises(asyncio.CancelledError, match="its run has ended"):
        await attempts.run(await attempts.prepare(ready(WORK)), goes_on)
    assert [request.target for request in server.requests] == sent


async def test_who_makes_no_attempt_is_asked_nothing(server: Server):
    async with OutboundClient(read_allowed(["127.0.0.1"])) as client:
        request = client.build_request("GET", httpx.URL(server.url), headers={}, timeout_s=5)
        response, _ = await client.exchange(request, httpx.Response.aread)
    assert response.status_code == 200
