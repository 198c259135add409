"""Faults of services: killed, frozen, stopped; one, or all at once."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from tests.faults.nemesis import CALLERS, Nemesis

SERVICES = ("coordinator-1", "coordinator-2", "definition-1", "gateway-1", "worker-")


async def kill_one(nemesis: Nemesis) -> None:
    _send(nemesis, await _someone(nemesis), signal.SIGKILL)


async def kill_all(nemesis: Nemesis) -> None:
    _send(nemesis, await nemesis.system.pids(), signal.SIGKILL)


async def freeze_one(nemesis: Nemesis) -> None:
    """It goes on later and knows nothing of what happened meanwhile."""
    await _freeze(nemesis, await _someone(nemesis), nemesis.random.uniform(1, 15))


async def freeze_worker(nemesis: Nemesis) -> None:
    """A zombie: its work is delivered again after 10 s, and then it answers late."""
    await _freeze(nemesis, await nemesis.system.pids(CALLERS[0]), nemesis.random.uniform(12, 15))


async def stop_one(nemesis: Nemesis) -> None:
    """As an orderly restart does: it ends what it has begun, so nothing is executed again."""
    _signal(await _someone(nemesis), signal.SIGTERM)


async def stop_all(nemesis: Nemesis) -> None:
    """All at once, under load."""
    _signal(await nemesis.system.pids(), signal.SIGTERM)


async def _someone(nemesis: Nemesis) -> dict[str, int]:
    pids = await nemesis.system.pids(nemesis.random.choice(SERVICES))
    if not pids:
        return {}
    name = nemesis.random.choice(sorted(pids))
    return {name: pids[name]}


async def _freeze(nemesis: Nemesis, pids: dict[str, int], seconds: float) -> None:
    _send(nemesis, pids, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    _signal(pids, signal.SIGCONT)


def _send(nemesis: Nemesis, pids: dict[str, int], number: signal.Signals) -> None:
    """A signal after which what they had in flight may be executed again."""
    nemesis.hits(*pids)
    _signal(pids, number)


def _signal(pids: dict[str, int], number: signal.Signals) -> None:
    for pid in pids.values():
        with suppress(ProcessLookupError):
            os.kill(pid, number)
