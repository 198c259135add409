"""What a worker knows of ended runs, on a real bucket: read anew after a new connection, and forgotten after a day."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import nats
import pytest
from nats.aio.client import Client

from services.executors.kit.ended_runs import KNOWN_S, SLEPT_S, EndedRuns
from shared.contracts import subjects
from shared.tasks import Tasks
from tests.eventually import eventually
from tests.faults.proxy import Proxy, proxying


class Watch:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def proxy(nats_url: str) -> AsyncIterator[Proxy]:
    async with proxying(int(nats_url.rsplit(":", 1)[1])) as made:
        yield made


@pytest.fixture
async def hearing(proxy: Proxy, nats_url: str) -> AsyncIterator[Client]:
    """A connection that can be cut."""
    url = f"{nats_url.rsplit(':', 1)[0]}:{proxy.port}"
    connected = await nats.connect(url, reconnect_time_wait=0.05, max_reconnect_attempts=-1, error_cb=_ignore)
    yield connected
    await connected.close()


@pytest.fixture
async def ended(hearing: Client, watch: Watch) -> AsyncIterator[EndedRuns]:
    made = EndedRuns(hearing, watch.now)
    async with Tasks([made.run(), made.notice_sleep()]):
        await made.wait_until_read()
        yield made


async def _ignore(_: Exception) -> None:
    return


async def put(client: Client, *run_ids: str) -> None:
    for run_id in run_ids:
        await client.jetstream().publish(f"$KV.{subjects.ENDED_RUNS_BUCKET}.{run_id}", b"cancelled")


async def test_an_end_is_forgotten_after_a_day(client: Client, ended: EndedRuns, watch: Watch) -> None:
    await put(client, "old")
    await eventually(lambda: "old" in ended, "the first end")

    watch.ahead_s = KNOWN_S + 1
    await put(client, "new")

    await eventually(lambda: "new" in ended, "the second end")
    assert "old" not in ended


async def test_what_was_told_while_the_connection_was_away_is_read_before_it_counts_as_known(
    client: Client, ended: EndedRuns, proxy: Proxy
) -> None:
    assert ended.is_current
    proxy.black_hole_connected()
    await put(client, "a")
    assert "a" not in ended

    proxy.cut()
    await eventually(lambda: not ended.is_current, "the new connection")

    await eventually(lambda: ended.catch_up(1.0), "the bucket to be read again")
    assert "a" in ended
    assert ended.is_current


def sleep_while_runs_end(nats_url: str) -> None:
    """Nothing of this process's loop moves meanwhile, as if it were frozen."""

    async def tell() -> None:
        other = await nats.connect(nats_url)
        await put(other, *(f"run-{number}" for number in range(1000)))
        await other.close()

    def tell_and_dawdle() -> None:
        asyncio.run(tell())
        threading.Event().wait(SLEPT_S)

    thread = threading.Thread(target=tell_and_dawdle)
    thread.start()
    thread.join()


async def test_a_process_that_slept_hears_all_that_was_told_meanwhile_first(nats_url: str, ended: EndedRuns) -> None:
    sleep_while_runs_end(nats_url)

    assert not ended.is_current
    assert await ended.catch_up(5.0)
    assert "run-999" in ended
    assert ended.is_current


async def test_who_slept_while_it_caught_up_is_not_deceived_by_an_answer_from_before(
    nats_url: str, hearing: Client, ended: EndedRuns
) -> None:
    """The answer to its ping waits before all that was told in its sleep."""
    catching_up = asyncio.create_task(ended.catch_up(5.0))
    while not hearing._pongs:
        await asyncio.sleep(0)
    sleep_while_runs_end(nats_url)

    assert not await catching_up
    assert not ended.is_current
    assert await ended.catch_up(5.0)
    assert "run-999" in ended
    assert ended.is_current


async def test_catching_up_is_bounded_while_nats_is_away(hearing: Client, ended: EndedRuns, proxy: Proxy) -> None:
    proxy.black_hole()
    proxy.cut()
    await eventually(lambda: not hearing.is_connected, "the end of the connection")
    assert not await ended.catch_up(0.1)
