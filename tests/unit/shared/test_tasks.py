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


async def test_whoever_is_cancelled_while_it_ends_others_ends_them_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "CANCEL_AGAIN_S", 0.01)
    is_cancelled, may_end = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        while not may_end.is_set():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                is_cancelled.set()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    ending = asyncio.create_task(end([task]))
    await is_cancelled.wait()
    for _ in range(3):
        ending.cancel()
        await asyncio.sleep(0)
        assert not ending.done()
    may_end.set()

    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await ending
    assert task.done()


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
