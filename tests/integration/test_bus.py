"""Pulling, publishing, asking and watching on a real server."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import nats
import nats.errors
import orjson
import pytest
from nats.aio.client import Client
from nats.js.kv import KeyValue

from services.cli.setup import make_topology
from services.coordinator.windows import ROUNDS, Windows
from shared.bus import rpc as rpc_module
from shared.bus.address import read_address
from shared.bus.connection import Bus
from shared.bus.flushing import flush
from shared.bus.late_acks import LateAcks
from shared.bus.publish import Outgoing, Publisher
from shared.bus.pull import Pull, delivery_of
from shared.bus.rpc import TRANSFER_HEADER, Endpoint, PlainReply, Rpc
from shared.bus.topology import ensure_node_type_durable
from shared.bus.transfers import TransferError, Transfers
from shared.bus.watch import BucketWatch
from shared.contracts import subjects
from shared.contracts.message import TransferRef
from shared.contracts.pipelines import PipelineGet
from shared.contracts.runs import RunGet, RunRequested, RunStarted
from shared.errors import NotFoundError, ProblemError, UnavailableError
from shared.tasks import end, watched
from shared.watchdog import EXIT_STATUS
from tests.eventually import eventually
from tests.faults.proxy import proxying
from tests.servers import nats_server


@pytest.fixture
async def pull(client: Client) -> AsyncIterator[Pull]:
    """Of the type `step`, with room for four."""
    await ensure_node_type_durable(client.jetstream(), "step")
    made = Pull(client, subjects.NODE_WORK, "step", 4)
    await made.start()
    yield made
    await made.stop()


async def send(client: Client, count: int) -> None:
    for number in range(count):
        await client.jetstream().publish(subjects.node_ready("step"), b"%d" % number)


async def test_no_more_is_pulled_than_there_is_room_for(client: Client, pull: Pull) -> None:
    await send(client, 10)

    taken = await pull.take(10)
    while len(taken) < 4:
        taken += await pull.take(10)

    info = await client.jetstream().consumer_info(subjects.NODE_WORK, "step")
    assert (len(taken), info.num_ack_pending, info.num_pending) == (4, 4, 6)
    for message in taken:
        await message.ack()
    await pull.release(taken)
    more = await pull.take(10)
    while len(more) < 4:
        more += await pull.take(10)
    assert [message.data for message in taken + more] == [b"%d" % number for number in range(8)]


async def test_message_handed_back_comes_again_with_its_count(client: Client, pull: Pull) -> None:
    await send(client, 1)
    [first] = await pull.take(1)
    assert delivery_of(first).times == 1
    await first.nak()
    await pull.release([first])

    [second] = await pull.take(1)

    assert (second.data, delivery_of(second).times) == (b"0", 2)


async def test_drained_is_told_of_what_waits_and_of_what_is_worked_on(client: Client, pull: Pull) -> None:
    assert await pull.is_drained()
    await send(client, 1)
    [message] = await pull.take(1)
    assert not await pull.is_drained()

    await message.ack_sync()

    assert await pull.is_drained()


async def test_what_is_acknowledged_late_leaves_its_stream(client: Client, pull: Pull) -> None:
    acks = LateAcks(pull)
    acknowledging = watched(acks.run())
    for _ in range(3):
        await send(client, 1)
        acks.put(await pull.take(1))

    async def is_empty() -> bool:
        return (await client.jetstream().stream_info(subjects.NODE_WORK)).state.messages == 0

    await eventually(is_empty, "an empty stream")
    await end([acknowledging])


async def test_what_would_be_acknowledged_late_is_so_at_once_by_who_ends(client: Client, pull: Pull) -> None:
    acks = LateAcks(pull)
    await send(client, 2)
    messages = await pull.take(2)
    while len(messages) < 2:
        messages += await pull.take(2)
    acks.put(messages)

    acks.send()

    await flush(client)
    info = await client.jetstream().consumer_info(subjects.NODE_WORK, "step")
    assert info.num_ack_pending == 0


async def test_pull_goes_on_when_its_consumer_was_deleted_and_made_anew(client: Client, pull: Pull) -> None:
    await client.jetstream().delete_consumer(subjects.NODE_WORK, "step")
    await ensure_node_type_durable(client.jetstream(), "step")
    await send(client, 1)

    async with asyncio.timeout(15):
        [message] = await pull.take(1)

    assert message.data == b"0"


async def test_group_is_published_and_acknowledged(client: Client) -> None:
    publisher = Publisher(client)
    await publisher.start()
    subject = subjects.node_ready("step")

    missing = await publisher.publish([Outgoing(subject, b"x", f"id-{number}") for number in range(500)])
    again = await publisher.publish([Outgoing(subject, b"x", f"id-{number}") for number in range(500)])

    assert (missing, again) == ([], [])
    assert (await client.jetstream().stream_info(subjects.NODE_WORK)).state.messages == 500


async def test_what_no_stream_takes_is_returned(client: Client) -> None:
    publisher = Publisher(client)
    await publisher.start()
    lost = [Outgoing("pipewright.nowhere", b"%d" % number) for number in range(3)]

    assert await publisher.publish(lost, timeout_s=0.5) == lost


async def test_what_is_larger_than_the_server_takes_costs_the_others_nothing(tmp_path: Path) -> None:
    async with nats_server(tmp_path, max_payload="100KB") as url:
        await make_topology(url)
        client = await nats.connect(url)
        publisher = Publisher(client)
        await publisher.start()
        bodies = [b"1", b"x" * 102_400, b"2"]
        messages = [Outgoing(subjects.node_ready("step"), body, f"id-{len(body)}-{body[:1]!r}") for body in bodies]

        missing = await publisher.publish(messages)

        assert missing == [messages[1]]
        assert await publisher.publish([messages[1]]) == [messages[1]]
        assert client.is_connected
        assert (await client.jetstream().stream_info(subjects.NODE_WORK)).state.messages == 2
        await client.close()


async def test_what_is_refused_is_sent_again(client: Client, nats_url: str) -> None:
    """As while a cluster elects a leader; here nothing listens until the stream is made again."""
    publisher = Publisher(client)
    await publisher.start()
    await client.jetstream().delete_stream(subjects.NODE_WORK)
    messages = [Outgoing(subjects.node_ready("step"), b"x", f"id-{number}") for number in range(3)]
    sending = asyncio.create_task(publisher.publish(messages, timeout_s=30))

    await make_topology(nats_url)

    assert await sending == []
    assert (await client.jetstream().stream_info(subjects.NODE_WORK)).state.messages == 3


async def test_messages_are_stored_in_their_order_so_that_the_last_speaks_for_all(client: Client) -> None:
    """What the one acknowledgement of a group rests upon; here between those of two other connections."""
    url = client.connected_url
    assert url is not None
    others = [await nats.connect(url.geturl()) for _ in range(2)]
    publishers = [Publisher(one) for one in (client, *others)]
    for publisher in publishers:
        await publisher.start()
    jetstream = client.jetstream()

    async def publish(name: str, publisher: Publisher) -> None:
        for group in range(20):
            messages = [
                Outgoing(subjects.node_ready("step"), b"%d" % number, f"{name}-{group}-{number}")
                for number in range(50)
            ]
            assert await publisher.publish(messages) == []
            assert (await jetstream.stream_info(subjects.NODE_WORK)).state.messages >= (group + 1) * 50

    await asyncio.gather(*(publish(name, publisher) for name, publisher in zip("abc", publishers, strict=True)))

    assert (await jetstream.stream_info(subjects.NODE_WORK)).state.messages == 3 * 20 * 50
    for one in others:
        await one.close()


class Runs:
    """Answers with what a test asks for."""

    async def get(self, request: RunGet) -> PlainReply:
        if request.include_node_results:
            return PlainReply({"text": "x" * 2_000_000})
        raise NotFoundError("run_not_found", f"There is no run {request.run_id}.")

    async def fail(self, request: RunGet) -> RunStarted:
        raise ZeroDivisionError("a fault of its own, with a secret in it")


@pytest.fixture
async def rpc(client: Client) -> Rpc:
    made = Rpc(client, Transfers(client.jetstream()))
    endpoints = {"test.get": Endpoint(RunGet, Runs().get), "test.fail": Endpoint(RunGet, Runs().fail)}
    await made.serve(endpoints, queue="test")
    return made


async def test_who_is_told_that_it_serves_finds_it(client: Client, nats_url: str) -> None:
    """A request on another connection may overtake what was subscribed and not yet taken by NATS."""
    serving, asking = Rpc(client, Transfers(client.jetstream())), await nats.connect(nats_url)
    for number in range(100):
        await serving.serve({f"test.found.{number}": Endpoint(RunGet, Runs().get)}, queue="test")
        answer = await asking.request(f"test.found.{number}", RunGet(run_id=uuid4()).model_dump_json().encode())
        assert orjson.loads(answer.data)["error"]["status"] == 404
    await asking.close()


async def test_answer_of_two_megabytes_arrives_whole(rpc: Rpc) -> None:
    found = await rpc.call_raw("test.get", RunGet(run_id=uuid4(), include_node_results=True))

    assert len(found["text"]) == 2_000_000


async def test_large_bodies_are_refused_for_now_while_their_store_is_away(client: Client, rpc: Rpc) -> None:
    await client.jetstream().delete_object_store(subjects.TRANSFERS_BUCKET)

    with pytest.raises(UnavailableError, match="object store"):
        await rpc.call_raw("test.get", PipelineGet(pipeline="x" * 1_000_000))
    with pytest.raises(UnavailableError, match="object store"):
        await rpc.call_raw("test.get", RunGet(run_id=uuid4(), include_node_results=True))


async def test_body_that_is_gone_is_no_fault_of_who_is_asked(client: Client, rpc: Rpc) -> None:
    gone = TransferRef(object="gone", sha256="0" * 64, size=1).model_dump_json().encode()

    reply = orjson.loads((await client.request("test.get", gone, timeout=5, headers={TRANSFER_HEADER: "1"})).data)

    assert reply["error"]["status"] == 503


async def test_refusal_arrives_as_it_was_said(rpc: Rpc) -> None:
    with pytest.raises(ProblemError, match="There is no run") as refusal:
        await rpc.call_raw("test.get", RunGet(run_id=uuid4()))

    assert (refusal.value.problem.status, refusal.value.problem.type) == (404, "run_not_found")


async def test_fault_is_answered_without_its_words(rpc: Rpc) -> None:
    with pytest.raises(ProblemError) as refusal:
        await rpc.call_raw("test.fail", RunGet(run_id=uuid4()))

    assert refusal.value.problem.status == 500
    assert "secret" not in refusal.value.problem.detail


async def test_requests_past_a_number_are_refused_at_once_and_others_are_answered(
    client: Client, rpc: Rpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc_module, "MOST_AT_ONCE", 2)
    gate, waiting = asyncio.Event(), []

    async def wait(request: RunGet) -> PlainReply:
        waiting.append(request)
        await gate.wait()
        return PlainReply({})

    await rpc.serve({"test.wait": Endpoint(RunGet, wait)}, queue="test")
    asking = [asyncio.create_task(rpc.call_raw("test.wait", RunGet(run_id=uuid4()))) for _ in range(2)]
    await eventually(lambda: len(waiting) == 2, "two requests that wait")

    with pytest.raises(UnavailableError, match="Too many requests") as refusal:
        await rpc.call_raw("test.wait", RunGet(run_id=uuid4()))
    with pytest.raises(ProblemError, match="There is no run"):
        await rpc.call_raw("test.get", RunGet(run_id=uuid4()))

    assert (refusal.value.problem.status, refusal.value.problem.retry_after_s) == (503, 2.0)
    gate.set()
    assert await asyncio.gather(*asking) == [{}, {}]


async def test_nobody_there_is_told_at_once(rpc: Rpc) -> None:
    with pytest.raises(UnavailableError, match="Nobody answers"):
        await rpc.call_raw("test.nobody", RunGet(run_id=uuid4()), timeout_s=5)


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"run_id": 5}', b"\xff\xfe"])
async def test_unreadable_request_is_answered_with_its_place(client: Client, rpc: Rpc, body: bytes) -> None:
    reply = orjson.loads((await client.request("test.get", body, timeout=5)).data)

    assert reply["error"]["status"] == 422


async def test_body_that_is_gone_or_another_is_refused(client: Client) -> None:
    transfers = Transfers(client.jetstream())
    reference = await transfers.put(b"x" * 1000)

    assert await transfers.get(reference) == b"x" * 1000
    with pytest.raises(TransferError, match="not the one"):
        await transfers.get(reference.model_copy(update={"sha256": "0" * 64}))
    with pytest.raises(TransferError, match="not in the bucket"):
        await transfers.get(TransferRef(object="gone", sha256="0" * 64, size=1))
    with pytest.raises(TransferError, match="over the limit"):
        await transfers.get(reference.model_copy(update={"size": 10**12}))


async def test_watch_tells_what_is_there_then_changes_and_all_anew_after_a_restart(client: Client) -> None:
    bucket = await client.jetstream().key_value(subjects.ENDED_RUNS_BUCKET)
    await bucket.put("a", b"1")
    heard: list[str] = []

    async def hear(entry: KeyValue.Entry) -> None:
        heard.append(entry.key)

    watch = BucketWatch(client.jetstream(), subjects.ENDED_RUNS_BUCKET, hear)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(watch.run())
        await eventually(lambda: len(heard) >= 1, "what is there")
        assert heard == ["a"]
        await bucket.put("b", b"2")
        await eventually(lambda: len(heard) >= 2, "the change")
        assert heard == ["a", "b"]

        await watch.restart()

        await eventually(lambda: len(heard) >= 4, "all anew")
        assert heard == ["a", "b", "a", "b"]
        running.cancel()


async def test_a_type_that_was_not_there_is_looked_for_when_it_is_asked_for(client: Client) -> None:
    """Workers announce themselves after the coordinator has read who is there."""
    windows = Windows(client, 8)
    await windows.read()
    reading = asyncio.create_task(windows.keep_reading())
    bucket = await client.jetstream().key_value(subjects.NODE_TYPES_BUCKET)
    await bucket.put("step.late", b'{"node_type": "step", "slots": 100}')
    asked_at = time.monotonic()

    await eventually(lambda: windows.of("step") == ROUNDS * 100, "the window of what came late")

    assert time.monotonic() - asked_at < 2, "long before it would have been read again"
    reading.cancel()


async def test_reading_who_is_there_makes_no_consumer(client: Client) -> None:
    """A server carries only so many, and it is done every few seconds."""
    await Windows(client, 8).read()

    assert await client.jetstream().consumers_info(subjects.NODE_TYPES_STREAM) == []


async def give_up_a_ping(bus: Bus) -> None:
    with pytest.raises(nats.errors.TimeoutError):
        await bus.ping()


async def cancel_a_flush(bus: Bus) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await flush(bus.client)


@pytest.mark.parametrize("give_up", [give_up_a_ping, cancel_a_flush])
async def test_a_ping_that_comes_back_late_leaves_the_connection_alive(
    empty_nats_url: str, give_up: Callable[[Bus], Awaitable[None]]
) -> None:
    """nats-py reads no more after the answer to a ping that was given up, and tells nobody."""
    [(_, port)] = read_address(empty_nats_url).hosts
    async with proxying(port) as proxy:
        bus = Bus(empty_nats_url.replace(str(port), str(proxy.port)), "test")
        await bus.connect()
        proxy.black_hole()
        await give_up(bus)
        proxy.heal()

        inbox = bus.client.new_inbox()
        heard = await bus.client.subscribe(inbox)
        await bus.client.publish(inbox, b"still here")

        assert (await heard.next_msg(timeout=2)).data == b"still here"
        await bus.close()


#: nats-py closes a connection for good when it is told to, by a bug as well.
GIVEN_UP = """
import asyncio, sys
from shared.bus.connection import Bus
from shared.bus.flushing import flush

async def main(url):
    bus = Bus(url, "test")
    await bus.connect()
    if sys.argv[2] == "stops":
        await bus.close()
    else:
        await bus.client.close()
    await asyncio.sleep(60 if sys.argv[2] == "gives up" else 0)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize(("how", "status"), [("gives up", EXIT_STATUS), ("stops", 0)])
async def test_a_connection_that_is_closed_for_good_ends_the_process(
    empty_nats_url: str, how: str, status: int
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GIVEN_UP, empty_nats_url, how, stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    assert await asyncio.wait_for(process.wait(), 30) == status


async def test_what_was_delivered_when_a_pull_is_stopped_can_still_be_taken(client: Client) -> None:
    await ensure_node_type_durable(client.jetstream(), "step")
    await asyncio.gather(*(send(client, 500) for _ in range(4)))
    before = client.stats["in_msgs"]
    pull = Pull(client, subjects.NODE_WORK, "step", 2000)
    await pull.start()
    taken = await pull.take(1)

    # While more are on their way.
    await pull.stop()

    delivered = client.stats["in_msgs"] - before
    while more := await pull.take(500):
        taken += more
    assert len(taken) == delivered


async def test_a_pull_knows_when_its_consumer_is_missing(client: Client, pull: Pull) -> None:
    assert not pull.is_missing
    await client.jetstream().delete_consumer(subjects.NODE_WORK, "step")

    await eventually(lambda: pull.is_missing, "that it is missing")

    await ensure_node_type_durable(client.jetstream(), "step")
    await eventually(lambda: not pull.is_missing, "that it is there again")


class Slow:
    """Answers when it may."""

    def __init__(self) -> None:
        self.is_asked, self.may = asyncio.Event(), asyncio.Event()

    async def get(self, request: RunGet) -> PlainReply:
        self.is_asked.set()
        await self.may.wait()
        return PlainReply({"run_id": str(request.run_id)})


async def test_who_stops_answers_what_it_has_and_takes_no_more(client: Client) -> None:
    slow, rpc = Slow(), Rpc(client, Transfers(client.jetstream()))
    await rpc.serve({"test.slow": Endpoint(RunGet, slow.get)}, queue="test")
    asking = asyncio.create_task(rpc.call_raw("test.slow", RunGet(run_id=uuid4())))
    await slow.is_asked.wait()

    await rpc.stop()

    with pytest.raises(UnavailableError):
        await rpc.call_raw("test.slow", RunGet(run_id=uuid4()), timeout_s=5)
    slow.may.set()
    await rpc.drain()
    assert "run_id" in await asking


async def test_body_that_cannot_be_carried_is_told_as_not_now(client: Client, rpc: Rpc) -> None:
    await client.jetstream().delete_stream(subjects.TRANSFERS_STREAM)
    large = RunRequested(pipeline="large", input={"text": "x" * 1_000_000})

    with pytest.raises(UnavailableError):
        await rpc.call_raw("test.get", large)
