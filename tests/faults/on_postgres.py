"""Faults of Postgres; work is not executed again for any of them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from tests.eventually import eventually
from tests.faults.nemesis import Nemesis

#: Under load a commit comes much sooner.
COMMIT_WITHIN_S = 20.0


async def kill(nemesis: Nemesis) -> None:
    await nemesis.system.servers.postgres.kill()
    await asyncio.sleep(nemesis.random.uniform(0, 5))
    await nemesis.system.servers.postgres.start()


async def restart(nemesis: Nemesis) -> None:
    """In order, as an upgrade does."""
    await nemesis.system.servers.postgres.stop()
    await nemesis.system.servers.postgres.start()


async def freeze(nemesis: Nemesis) -> None:
    nemesis.system.servers.postgres.signal(signal.SIGSTOP)
    await asyncio.sleep(nemesis.random.uniform(1, 15))
    nemesis.system.servers.postgres.signal(signal.SIGCONT)


def away(seconds: float) -> Callable[[Nemesis], Awaitable[None]]:
    async def leave(nemesis: Nemesis) -> None:
        await nemesis.system.servers.postgres.kill()
        await asyncio.sleep(seconds)
        await nemesis.system.servers.postgres.start()

    return leave


async def cut(nemesis: Nemesis) -> None:
    nemesis.system.postgres_proxy.cut()


async def cut_commit(nemesis: Nemesis) -> None:
    """The next commit reaches Postgres, its answer reaches nobody; over when that has happened."""
    proxy = nemesis.system.postgres_proxy
    before = proxy.commits_cut
    proxy.cut_next_commit()
    await eventually(lambda: proxy.commits_cut > before, "a commit that is cut", timeout_s=COMMIT_WITHIN_S)
    nemesis.commits_cut += 1
