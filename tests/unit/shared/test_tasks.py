"""Loops end when they are told to."""

from __future__ import annotations

import asyncio

import pytest

from shared import tasks
from shared.tasks import Tasks, end, is_set_within


async def swallowing(started: asyncio.Event) -> None:
    """Goes on after its first cancellation, as `wait_for` of Python 3.11 may."""
    started.set()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


async def test_a_task_that_swallows_its_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "CANCEL_AGAIN_S", 0.01)
    started = asyncio.Event()
    task = asyncio.create_task(swallowing(started))
    await started.wait()

    async with asyncio.timeout(10):
        await end([task])

    assert task.cancelled()


async def test_loops_are_over_when_their_block_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "CANCEL_AGAIN_S", 0.01)
    started = [asyncio.Event(), asyncio.Event()]
    before = asyncio.all_tasks()

    async with asyncio.timeout(10):
        async with Tasks([swallowing(event) for event in started]):
            for event in started:
                await event.wait()

    assert asyncio.all_tasks() <= before


async def test_an_event_is_waited_for_no_longer_than_was_said():
    event = asyncio.Event()
    assert not await is_set_within(event, 0.01)

    asyncio.get_running_loop().call_soon(event.set)
    assert await is_set_within(event, 60)
