"""The floor: what NATS and Postgres alone cost here, with the same streams as the product and with nats-py as it is.

The product's own ways around nats-py are left out, so that the floor tells of the machine, and stays when they change.

Echo: publish + acknowledgement -> consume -> publish back + acknowledgement -> consume; no logic, no database.
Commit: a transaction of one row, durable when it returns.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import deque
from contextlib import suppress
from statistics import median

import nats
import nats.js.errors
import orjson
import psycopg
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, PersistMode, RetentionPolicy, StreamConfig

from tests.bench.figures import Floor

THERE, BACK = "BENCH_THERE", "BENCH_BACK"
BATCH = 250
ROUND_TRIPS = 40_000
IN_FLIGHT = 2_000


def measure(nats_url: str, database_url: str) -> Floor:
    uvloop.run(_make_streams(nats_url))
    context = multiprocessing.get_context("spawn")
    echo = context.Process(target=_echo_process, args=(nats_url,), daemon=True)
    echo.start()
    try:
        return Floor(*uvloop.run(_measure(nats_url)), _commit_ms(database_url))
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


class Plain:
    """Takes from one stream and publishes to the other: batches of messages, with acknowledgements awaited together."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.bench"
        self._inbox, self._acks = client.new_inbox(), client.new_inbox()
        self._groups: dict[str, tuple[set[str], asyncio.Event]] = {}
        self._count = 0
        self._asked = 0
        self._buffer: deque[Msg] = deque()
        self._arrived = asyncio.Event()

    @classmethod
    async def start(cls, client: Client, stream: str) -> Plain:
        plain = cls(client, stream)
        await client.subscribe(plain._inbox, cb=plain._on_message, pending_msgs_limit=0, pending_bytes_limit=0)
        await client.subscribe(f"{plain._acks}.*.*", cb=plain._on_ack, pending_msgs_limit=0, pending_bytes_limit=0)
        await plain._ask()
        return plain

    async def publish(self, subject: str, bodies: list[bytes]) -> None:
        self._count += 1
        group, numbers = str(self._count), {str(number) for number in range(len(bodies))}
        _, answered = self._groups[group] = (numbers, asyncio.Event())
        for number, body in zip(list(numbers), bodies, strict=True):
            await self._client.publish(subject, body, reply=f"{self._acks}.{group}.{number}")
        await answered.wait()
        del self._groups[group]

    async def take(self) -> list[Msg]:
        while not self._buffer:
            self._arrived.clear()
            await self._arrived.wait()
        return [self._buffer.popleft() for _ in range(min(BATCH, len(self._buffer)))]

    async def _ask(self) -> None:
        """For as many as may be on their way, when half of them have come."""
        if self._asked < IN_FLIGHT / 2:
            missing, self._asked = IN_FLIGHT - self._asked, IN_FLIGHT
            request = {"batch": missing, "expires": int(600e9), "idle_heartbeat": int(60e9)}
            await self._client.publish(self._next, orjson.dumps(request), reply=self._inbox)

    async def _on_message(self, message: Msg) -> None:
        if message.headers:
            # A heartbeat: the bench sends none.
            return
        self._buffer.append(message)
        self._arrived.set()
        self._asked -= 1
        await self._ask()

    async def _on_ack(self, message: Msg) -> None:
        _, group, number = message.subject.rsplit(".", 2)
        waiting, answered = self._groups[group]
        waiting.discard(number)
        if not waiting:
            answered.set()


async def _echo(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    plain = await Plain.start(client, THERE)
    answering: set[asyncio.Task[None]] = set()
    while messages := await plain.take():
        task = asyncio.create_task(_answer(plain, messages))
        answering.add(task)
        task.add_done_callback(answering.discard)


async def _answer(plain: Plain, messages: list[Msg]) -> None:
    await plain.publish(f"bench.{BACK}", [message.data for message in messages])
    for message in messages:
        await message.ack()


async def _measure(nats_url: str) -> tuple[float, float]:
    """Round trips a second, and the p50 of one alone in ms."""
    client = await nats.connect(nats_url)
    plain = await Plain.start(client, BACK)
    await _many(plain, 2_000)
    alone = []
    for _ in range(200):
        began = time.perf_counter()
        await _many(plain, 1)
        alone.append(time.perf_counter() - began)
    rates = []
    for _ in range(3):
        began = time.perf_counter()
        await _many(plain, ROUND_TRIPS // 2)
        rates.append(ROUND_TRIPS // 2 / (time.perf_counter() - began))
    await client.close()
    return median(rates), median(alone) * 1000


async def _many(plain: Plain, count: int) -> None:
    room = asyncio.Semaphore(IN_FLIGHT // BATCH)

    async def send() -> None:
        async with asyncio.TaskGroup() as group:
            for at in range(0, count, BATCH):
                await room.acquire()
                bodies = [b"0123456789" * 20] * min(BATCH, count - at)
                group.create_task(plain.publish(f"bench.{THERE}", bodies))

    sending = asyncio.create_task(send())
    received = 0
    while received < count:
        messages = await plain.take()
        for message in messages:
            await message.ack()
        for _ in range((received + len(messages)) // BATCH - received // BATCH):
            room.release()
        received += len(messages)
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
