"""The floor: what NATS and Postgres alone cost here, with the same streams and clients as the product.

Echo: publish + acknowledgement -> consume -> publish back + acknowledgement -> consume; no logic, no database.
Commit: a transaction of one row, durable when it returns.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from contextlib import suppress
from statistics import median

import nats
import nats.js.errors
import psycopg
import uvloop
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, PersistMode, RetentionPolicy, StreamConfig

from shared.bus.publish import Outgoing, Publisher
from shared.bus.pull import Pull

THERE, BACK = "BENCH_THERE", "BENCH_BACK"
BATCH = 250
ROUND_TRIPS = 40_000
IN_FLIGHT = 2_000


def measure(nats_url: str, database_url: str) -> dict[str, float]:
    """Round trips a second, and the p50 of one alone and of a commit, in ms."""
    uvloop.run(_make_streams(nats_url))
    context = multiprocessing.get_context("spawn")
    echo = context.Process(target=_echo_process, args=(nats_url,), daemon=True)
    echo.start()
    try:
        return uvloop.run(_measure(nats_url)) | {"commit_ms": _commit_ms(database_url)}
    finally:
        echo.terminate()
        echo.join()
        uvloop.run(_remove_streams(nats_url))


async def _make_streams(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    jetstream = client.jetstream()
    for stream in (THERE, BACK):
        config = StreamConfig(
            name=stream,
            subjects=[f"bench.{stream}"],
            retention=RetentionPolicy.WORK_QUEUE,
            persist_mode=PersistMode.ASYNC,
        )
        await jetstream.add_stream(config)
        consumer = ConsumerConfig(durable_name="bench", ack_policy=AckPolicy.EXPLICIT, max_ack_pending=20_000)
        await jetstream.add_consumer(stream, consumer)
    await client.close()


async def _remove_streams(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    for stream in (THERE, BACK):
        with suppress(nats.js.errors.NotFoundError):
            await client.jetstream().delete_stream(stream)
    await client.close()


def _echo_process(nats_url: str) -> None:
    with suppress(KeyboardInterrupt):
        uvloop.run(_echo(nats_url))


async def _echo(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    publisher = Publisher(client)
    await publisher.start()
    pull = Pull(client, THERE, "bench", IN_FLIGHT)
    await pull.start()
    answering: set[asyncio.Task[None]] = set()
    while messages := await pull.take(BATCH):
        task = asyncio.create_task(_answer(publisher, pull, messages))
        answering.add(task)
        task.add_done_callback(answering.discard)


async def _answer(publisher: Publisher, pull: Pull, messages: list[Msg]) -> None:
    await publisher.publish([Outgoing(f"bench.{BACK}", message.data) for message in messages])
    for message in messages:
        await message.ack()
    await pull.release(messages)


async def _measure(nats_url: str) -> dict[str, float]:
    client = await nats.connect(nats_url)
    publisher = Publisher(client)
    await publisher.start()
    pull = Pull(client, BACK, "bench", IN_FLIGHT)
    await pull.start()
    await _many(publisher, pull, 2_000)
    alone = []
    for _ in range(200):
        began = time.perf_counter()
        await _many(publisher, pull, 1)
        alone.append(time.perf_counter() - began)
    rates = []
    for _ in range(3):
        began = time.perf_counter()
        await _many(publisher, pull, ROUND_TRIPS // 2)
        rates.append(ROUND_TRIPS // 2 / (time.perf_counter() - began))
    await client.close()
    return {"echo_per_s": max(rates), "echo_ms": median(alone) * 1000}


async def _many(publisher: Publisher, pull: Pull, count: int) -> None:
    room = asyncio.Semaphore(IN_FLIGHT // BATCH)

    async def send() -> None:
        async with asyncio.TaskGroup() as group:
            for at in range(0, count, BATCH):
                await room.acquire()
                messages = [Outgoing(f"bench.{THERE}", b"0123456789" * 20)] * min(BATCH, count - at)
                group.create_task(publisher.publish(messages))

    sending = asyncio.create_task(send())
    received = 0
    while received < count:
        messages = await pull.take(BATCH)
        for message in messages:
            await message.ack()
        for _ in range((received + len(messages)) // BATCH - received // BATCH):
            room.release()
        received += len(messages)
        await pull.release(messages)
    await sending


def _commit_ms(database_url: str) -> float:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS public.bench_commit (id int PRIMARY KEY, value int)")
        connection.execute("INSERT INTO public.bench_commit VALUES (1, 0) ON CONFLICT DO NOTHING")
        times = []
        for _ in range(200):
            began = time.perf_counter()
            connection.execute("UPDATE public.bench_commit SET value = value + 1 WHERE id = 1")
            times.append(time.perf_counter() - began)
        connection.execute("DROP TABLE public.bench_commit")
    return median(times) * 1000
