"""Faults of messages: junk, repetition, forgery, poison, and a worker that takes work and says nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.clock import new_id
from shared.contracts import subjects
from tests.faults.junk import JUNK, places
from tests.faults.nemesis import Nemesis, Ready
from tests.faults.poison import VICTIM, bad_results, bad_starts
from tests.raw_nats import ODD_HEADERS, publish_raw

#: What a forged result gives; nothing of it may be found in Postgres.
FORGED = "forged by the nemesis"
#: Work that the hanging worker takes.
HELD = 8
#: How long the nemesis answers to what passes by.
ANSWERING_S = 1.5


async def send_junk(nemesis: Nemesis) -> None:
    """Every kind of junk on every subject of ours, also as no client would send it."""
    for place in places():
        for junk in JUNK:
            await nemesis.client.publish(place, junk)
        await nemesis.client.flush()
        for headers in ODD_HEADERS:
            await publish_raw(nemesis.system.nats_url, place.encode(), b"{}", headers=headers)
        await publish_raw(nemesis.system.nats_url, place.encode(), b"{}", reply=b"\xff")


async def repeat_results(nemesis: Nemesis) -> None:
    """Results that passed by, again, in another order; also as if another type had sent them."""
    kept, nemesis.results = nemesis.results, []
    nemesis.random.shuffle(kept)
    for message in kept:
        await nemesis.client.publish(message.subject, message.data)
        if nemesis.random.random() < 0.2:
            await nemesis.client.publish(subjects.node_result("condition"), message.data)
    await nemesis.client.flush()


async def forge_results(nemesis: Nemesis) -> None:
    """Whatever is sent out is answered at once by somebody who has no right to: results that must change nothing."""
    seen: list[Ready] = []

    async def forge(ready: Ready) -> None:
        other = nemesis.random.choice(seen) if seen else ready
        seen.append(ready)
        subject = subjects.node_result(str(ready["node_type"]))
        forgeries = [
            (subject, ready | {"token": "0" * 64}),
            (subject, ready | {"token": ""}),
            (subject, ready | {"attempt": int(str(ready["attempt"])) + 1}),
            (subject, ready | {"token": "é" * 64}),
            # Its token is right, and its type is not the node's.
            (subjects.node_result("llm" if ready["node_type"] != "llm" else "text"), ready),
        ]
        if other["token"] != ready["token"]:
            forgeries.append((subject, ready | {"token": other["token"]}))
        for place, forged in forgeries:
            await nemesis.client.publish(place, _finished([_result(forged, {"text": FORGED, "status": 200})]))

    async with _answering(nemesis, forge):
        await asyncio.sleep(ANSWERING_S)


async def send_poison(nemesis: Nemesis) -> None:
    """What parses and cannot be stored: as starts, and as results of a worker that was really given the work."""
    bodies = bad_results()
    victims: set[str] = set()

    async def answer(ready: Ready) -> None:
        if str(ready["run_id"]) in victims:
            await nemesis.client.publish(subjects.node_result(str(ready["node_type"])), bodies.pop()(ready))

    async with _answering(nemesis, answer):
        while bodies:
            victims.add(str(run_id := new_id()))
            count = len(bodies)
            start = orjson.dumps({"pipeline": VICTIM, "input": {}, "run_id": run_id})
            await nemesis.client.publish(subjects.RUN_REQUEST, start)
            for _ in range(100):
                if len(bodies) < count:
                    break
                await asyncio.sleep(0.05)
            else:
                bodies.pop()
    for start in bad_starts():
        await nemesis.client.publish(subjects.RUNS_START, start, reply=nemesis.client.new_inbox())
        await nemesis.client.publish(subjects.RUN_REQUEST, start)
    await nemesis.client.flush()


async def hang_worker(nemesis: Nemesis) -> None:
    """Takes work as a worker does, and is never heard of again; another has it after 10 s."""
    inbox = nemesis.client.new_inbox()
    taken = await nemesis.client.subscribe(inbox)
    request = orjson.dumps({"batch": HELD, "expires": 2_000_000_000})
    await nemesis.client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{subjects.NODE_WORK}.http_request", request, reply=inbox)
    await asyncio.sleep(2)
    await taken.unsubscribe()


@asynccontextmanager
async def _answering(nemesis: Nemesis, answer: Callable[[Ready], Awaitable[None]]) -> AsyncIterator[None]:
    nemesis.on_ready = answer
    try:
        yield
    finally:
        nemesis.on_ready = None


def _result(ready: Ready, output: dict[str, Any]) -> dict[str, Any]:
    at = datetime.now(UTC)
    names = ("run_id", "node_key", "attempt", "token")
    outcome = {"status": "completed", "output": output}
    return {name: ready[name] for name in names} | {"outcome": outcome, "started_at": at, "finished_at": at}


def _finished(results: list[dict[str, Any]]) -> bytes:
    return orjson.dumps({"worker": "nemesis", "results": results})
