"""The gate that keeps starts out of the stream while what it keeps is thrown away."""

from __future__ import annotations

import asyncio

from tests.eventually import eventually
from tests.faults.gate import Gate


async def test_who_closes_it_waits_for_all_that_pass_and_keeps_others_out() -> None:
    gate, told, may_go = Gate(), list[str](), asyncio.Event()

    async def passes(name: str) -> None:
        async with gate.passing():
            told.append(f"{name} begins")
            await may_go.wait()
            told.append(f"{name} ends")

    async def closes() -> None:
        async with gate.closed():
            told.append("closed")

    first = asyncio.create_task(passes("first"))
    await eventually(lambda: told == ["first begins"], "the first in")
    closing = asyncio.create_task(closes())
    await asyncio.sleep(0)
    second = asyncio.create_task(passes("second"))
    await asyncio.sleep(0)
    may_go.set()
    await asyncio.gather(first, closing, second)

    assert told == ["first begins", "first ends", "closed", "second begins", "second ends"]
