"""The users of NATS as they are shipped: each against every class of subject, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats.errors
import orjson
import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from services.cli.setup import make_topology
from shared.bus.address import connect
from shared.bus.direct import read_stream
from shared.bus.pull import Pull, is_durable_there
from shared.bus.topology import ensure_node_type_durable
from shared.bus.transfers import Transfers
from shared.contracts import subjects
from tests.eventually import eventually
from tests.permitted import USERS, PermittedNats, nats_process, permitted_nats
from tests.ports import free_port

EXECUTORS = {user for user in USERS if user.startswith("executor-")}
SERVICES = {"definition", "coordinator", "gateway"}
EVERYONE = set(USERS)
NOBODY: set[str] = set()
RUN = "01890a5d-ac96-774b-bcce-b302099a8057"

#: Subject -> who may publish it.
PUBLISH: dict[str, set[str]] = {
    "pipewright.run.request": {"gateway", "internal-client"},
    "pipewright.node.ready.llm": {"coordinator"},
    "pipewright.node.ready.text": {"coordinator"},
    "pipewright.node.result.llm": {"executor-llm"},
    "pipewright.node.result.http_request": {"executor-http_request"},
    "pipewright.node.running.llm": {"executor-llm"},
    "pipewright.node.running.text": {"executor-text"},
    f"pipewright.node.tokens.{RUN}": {"executor-llm"},
    "pipewright.run.event.completed": {"coordinator"},
    "pipewright.dead.node_ready": EXECUTORS | {"definition", "coordinator"},
    "pipewright.rpc.runs.start": {"gateway", "internal-client"},
    "pipewright.rpc.runs.cancel": {"gateway", "internal-client"},
    "pipewright.rpc.runs.list": {"gateway", "internal-client", "topology"},
    "pipewright.rpc.pipelines.apply": {"gateway", "internal-client"},
    "pipewright.rpc.versions.resolve": {"coordinator"},
    "pipewright.rpc.node_types.list": {"gateway", "internal-client", "topology"},
    "pipewright.anything": NOBODY,
    "$KV.node_types.llm.a": {"executor-llm"},
    "$KV.node_types.text.a": {"executor-text"},
    f"$KV.ended_runs.{RUN}": {"coordinator"},
    "$O.transfers.C.a": EVERYONE,
    "$O.transfers.M.a": EVERYONE,
    "$O.other.C.a": NOBODY,
    "$JS.API.CONSUMER.MSG.NEXT.NODE_WORK.llm": {"executor-llm"},
    "$JS.API.CONSUMER.MSG.NEXT.NODE_WORK.text": {"executor-text"},
    "$JS.API.CONSUMER.MSG.NEXT.NODE_RESULTS.coordinator": {"coordinator"},
    "$JS.API.CONSUMER.MSG.NEXT.RUN_REQUESTS.coordinator": {"coordinator"},
    "$JS.ACK.NODE_WORK.llm.1.1.1.1.0": {"executor-llm"},
    "$JS.ACK.NODE_WORK.text.1.1.1.1.0": {"executor-text"},
    "$JS.ACK.NODE_RESULTS.coordinator.1.1.1.1.0": {"coordinator"},
    "$JS.API.DIRECT.GET.KV_ended_runs": EXECUTORS,
    "$JS.API.DIRECT.GET.KV_node_types": {"coordinator"},
    "$JS.API.DIRECT.GET.NODE_RESULTS": NOBODY,
    "$JS.API.DIRECT.GET.OBJ_transfers": EVERYONE,
    "$JS.API.STREAM.MSG.GET.NODE_WORK": {"coordinator"},
    "$JS.API.STREAM.MSG.GET.RUN_EVENTS": NOBODY,
    "$JS.API.STREAM.MSG.DELETE.NODE_WORK": NOBODY,
    "$JS.API.STREAM.INFO.NODE_WORK": {"topology"},
    "$JS.API.STREAM.INFO.KV_node_types": {"topology", "definition"},
    "$JS.API.STREAM.CREATE.NODE_WORK": {"topology"},
    "$JS.API.STREAM.CREATE.OTHER": NOBODY,
    "$JS.API.STREAM.UPDATE.NODE_WORK": {"topology"},
    "$JS.API.STREAM.DELETE.NODE_WORK": NOBODY,
    "$JS.API.STREAM.PURGE.NODE_WORK": NOBODY,
    "$JS.API.STREAM.LIST": NOBODY,
    "$JS.API.STREAM.SNAPSHOT.NODE_WORK": NOBODY,
    "$JS.API.CONSUMER.CREATE.NODE_WORK": NOBODY,
    "$JS.API.CONSUMER.CREATE.NODE_RESULTS": NOBODY,
    "$JS.API.CONSUMER.CREATE.RUN_EVENTS": {"gateway"},
    "$JS.API.CONSUMER.CREATE.KV_node_types": {"definition"},
    "$JS.API.CONSUMER.DURABLE.CREATE.NODE_WORK.llm": {"topology", "definition"},
    "$JS.API.CONSUMER.DURABLE.CREATE.NODE_RESULTS.coordinator": {"topology", "coordinator"},
    "$JS.API.CONSUMER.DURABLE.CREATE.NODE_RESULTS.another": {"topology"},
    "$JS.API.CONSUMER.DELETE.NODE_WORK.llm": NOBODY,
    "$JS.API.CONSUMER.PAUSE.NODE_WORK.llm": NOBODY,
    "$JS.API.CONSUMER.LIST.NODE_WORK": NOBODY,
    "_INBOX_gateway.a": {"definition", "coordinator"},
    "_INBOX_executor-llm.a": NOBODY,
    "_INBOX.a": NOBODY,
    "$SYS.REQ.SERVER.PING": NOBODY,
    "$SYS.REQ.SERVER.PING.VARZ": {"coordinator"},
    "$SYS.REQ.SERVER.PING.CONNZ": NOBODY,
}

#: Subject -> who may subscribe to it.
SUBSCRIBE: dict[str, set[str]] = {
    "pipewright.run.request": NOBODY,
    "pipewright.node.ready.llm": NOBODY,
    "pipewright.node.result.llm": NOBODY,
    "pipewright.node.running.*": {"coordinator"},
    f"pipewright.node.tokens.{RUN}": {"gateway"},
    "pipewright.run.event.*": {"gateway", "internal-client"},
    "pipewright.dead.*": NOBODY,
    "pipewright.rpc.runs.start": {"coordinator"},
    "pipewright.rpc.pipelines.apply": {"definition"},
    "pipewright.>": NOBODY,
    "$KV.node_types.>": NOBODY,
    "$KV.ended_runs.*": EXECUTORS,
    "$O.transfers.>": NOBODY,
    "$JS.API.>": NOBODY,
    "$JS.EVENT.>": NOBODY,
    "$SYS.>": NOBODY,
    ">": NOBODY,
    # The client's account holds nobody else.
    "_INBOX.>": {"internal-client"},
    "_R_.>": NOBODY,
    **{f"_INBOX_{user}.>": {user} for user in USERS},
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[PermittedNats]:
    async with permitted_nats(tmp_path) as made:
        await make_topology(made.url("topology"))
        yield made


@asynccontextmanager
async def connected(server: PermittedNats, user: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A client, and what the server refused it."""
    refused: list[str] = []

    async def on_error(error: Exception) -> None:
        refused.append(str(error))

    client = await connect(server.url(user), error_cb=on_error, allow_reconnect=False)
    try:
        yield client, refused
    finally:
        await client.close()


async def refusals(client: Client, refused: list[str]) -> set[str]:
    """The subjects that were refused so far; nats-py tells of them in lower case."""
    await client.publish(LAST, b"")

    def is_told() -> bool:
        return any(LAST in text for text in refused)

    await eventually(is_told, "the last refusal")
    return {text.split('"')[1] for text in refused if "permissions violation" in text} - {LAST}


#: Nobody may publish it, so its refusal comes after all others.
LAST = "pipewright.last"


@pytest.mark.parametrize("user", USERS)
async def test_each_user_publishes_what_the_table_says_and_no_more(server: PermittedNats, user: str) -> None:
    async with connected(server, user) as (client, refused):
        for subject in PUBLISH:
            # Nothing that anybody could act upon.
            await client.publish(subject, b"?")
        found = await refusals(client, refused)

    assert found == {subject.lower() for subject, allowed in PUBLISH.items() if user not in allowed}


@pytest.mark.parametrize("user", USERS)
async def test_each_user_hears_what_the_table_says_and_no_more(server: PermittedNats, user: str) -> None:
    async with connected(server, user) as (client, refused):
        for subject in SUBSCRIBE:
            await client.subscribe(subject)
        found = await refusals(client, refused)

    assert found == {subject.lower() for subject, allowed in SUBSCRIBE.items() if user not in allowed}


async def test_a_wrong_password_is_refused(server: PermittedNats) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b'CONNECT {"user": "gateway", "pass": "wrong", "verbose": false}\r\nPING\r\n')

    answers = await reader.read()

    assert b"-ERR 'Authorization Violation'" in answers
    writer.close()
    await writer.wait_closed()


class Victim:
    """What a stolen worker would like to reach: streams with something in them, and a type that is announced."""

    def __init__(self, core: Client, topology: Client, other: Client) -> None:
        self.core, self.topology, self.other = core, topology, other

    async def counts(self) -> dict[str, int]:
        names = ("RUN_REQUESTS", "NODE_RESULTS", "RUN_EVENTS", "KV_node_types", "KV_ended_runs", "DEAD_LETTERS")
        jetstream = self.topology.jetstream()
        return {name: (await jetstream.stream_info(name)).state.messages for name in names}


@pytest.fixture
async def victim(server: PermittedNats) -> AsyncIterator[Victim]:
    async with (
        connected(server, "coordinator") as (core, _),
        connected(server, "topology") as (topology, _),
        connected(server, "executor-http_request") as (other, _),
        connected(server, "internal-client") as (client, _),
    ):
        for node_type in ("llm", "http_request"):
            await ensure_node_type_durable(topology.jetstream(), node_type)
        await client.jetstream().publish(subjects.RUN_REQUEST, b"?")
        await other.jetstream().publish(subjects.node_result("http_request"), b"?")
        await other.jetstream().publish(subjects.announcement("http_request", "one"), b"?")
        await core.jetstream().publish(subjects.run_event("started"), b"?")
        await core.jetstream().publish(f"$KV.ended_runs.{RUN}", b"failed")
        yield Victim(core, topology, other)


async def test_a_worker_works_with_its_own_rights(server: PermittedNats, victim: Victim) -> None:
    async with connected(server, "executor-llm") as (worker, refused):
        assert await is_durable_there(worker, "NODE_WORK", "llm")
        assert not await is_durable_there(worker, "NODE_WORK", "http_request")
        refused.clear()
        ended = [message async for message in read_stream(worker, "KV_ended_runs", subjects.ALL_ENDED_RUNS)]
        transfers = Transfers(worker.jetstream())
        reference = await transfers.put(b"x" * 2_000_000)
        assert await transfers.get(reference) == b"x" * 2_000_000
        pull = Pull(worker, "NODE_WORK", "llm", 2)
        await pull.start()
        await victim.core.jetstream().publish(subjects.node_ready("llm"), b"work")
        [message] = await pull.take(1)
        receipt = await worker.jetstream().publish(subjects.node_result("llm"), b"done")
        await message.ack()
        await pull.stop()

        assert [message.data for message in ended][-1:] == [b"failed"]
        assert (message.data, receipt.stream, refused) == (b"work", "NODE_RESULTS", [])
        jetstream = victim.topology.jetstream()

        async def is_done() -> bool:
            return (await jetstream.consumer_info("NODE_WORK", "llm")).num_ack_pending == 0

        await eventually(is_done, "the acknowledgement")


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("pipewright.node.result.http_request", {"worker": "w", "results": []}),
        ("pipewright.run.event.completed", {"run_id": RUN, "status": "completed"}),
        ("pipewright.run.request", {"pipeline": "greeting"}),
        ("pipewright.node.ready.http_request", {"config": {"url": "http://example.com"}}),
        ("$KV.node_types.http_request.one", {}),
        (f"$KV.ended_runs.{RUN}", {}),
        ("$JS.API.STREAM.DELETE.NODE_WORK", None),
        ("$JS.API.STREAM.PURGE.RUN_EVENTS", None),
        ("$JS.API.CONSUMER.DELETE.NODE_WORK.http_request", None),
        ("$JS.API.CONSUMER.MSG.NEXT.NODE_WORK.http_request", None),
        ("$JS.API.CONSUMER.CREATE.NODE_WORK", {"stream_name": "NODE_WORK", "config": {}}),
        ("pipewright.rpc.runs.cancel", {"run_id": RUN}),
    ],
)
async def test_a_stolen_worker_reaches_nothing_directly(
    server: PermittedNats, victim: Victim, subject: str, body: Any
) -> None:
    before = await victim.counts()
    async with connected(server, "executor-llm") as (thief, refused):
        with pytest.raises(nats.errors.TimeoutError):
            await thief.request(subject, b"" if body is None else orjson.dumps(body), timeout=0.2)
        assert subject.lower() in await refusals(thief, refused)

    assert await victim.counts() == before


#: Requests that a worker may make, and that the server answers with a body of the server's choice or of none.
ASKED = {
    "a request for work that is not there": (
        "$JS.API.CONSUMER.MSG.NEXT.NODE_WORK.llm",
        orjson.dumps({"batch": 1, "no_wait": True}),
    ),
    "a request for work that expires": (
        "$JS.API.CONSUMER.MSG.NEXT.NODE_WORK.llm",
        orjson.dumps({"batch": 1, "expires": 50_000_000}),
    ),
    "an ended run that is not there": ("$JS.API.DIRECT.GET.KV_ended_runs", orjson.dumps({"seq": 10**6})),
    "an ended run": ("$JS.API.DIRECT.GET.KV_ended_runs", orjson.dumps({"seq": 1})),
    "what the thief wrote": ("$JS.API.DIRECT.GET.OBJ_transfers", b"FORGED"),
    "a receipt": ("pipewright.node.result.llm", b"?"),
}

#: Where the thief would like the server to publish the answer.
LED_TO = (
    "$JS.API.STREAM.DELETE.RUN_EVENTS",
    "$JS.API.STREAM.PURGE.RUN_EVENTS",
    "$JS.API.STREAM.DELETE.KV_node_types",
    "$JS.API.CONSUMER.DELETE.NODE_WORK.http_request",
    "pipewright.run.event.completed",
    "pipewright.node.result.http_request",
    "pipewright.node.ready.http_request",
    "pipewright.run.request",
    "pipewright.rpc.runs.cancel",
    f"$KV.ended_runs.{RUN}",
    "$KV.node_types.http_request.one",
)


@pytest.mark.parametrize("asked", ASKED)
async def test_the_server_publishes_nothing_for_a_stolen_worker(
    server: PermittedNats, victim: Victim, asked: str
) -> None:
    """In one account for all, the first of these deletes any stream: an answer goes wherever its request says."""
    subject, body = ASKED[asked]
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append(message.subject)

    await victim.core.subscribe("pipewright.rpc.runs.cancel", cb=hear)
    await victim.core.flush()
    async with connected(server, "executor-llm") as (thief, _):
        if body == b"FORGED":
            forged = orjson.dumps({"run_id": RUN, "status": "completed"})
            receipt = await thief.jetstream().publish("$O.transfers.C.forged", forged)
            body = orjson.dumps({"seq": receipt.seq})
        before = await victim.counts()
        for place in LED_TO:
            await thief.publish(subject, body, reply=place)
        await thief.flush()
        # What was asked first has been answered when this is: the requests above expire after 50 ms.
        inbox = thief.new_inbox()
        last = await thief.subscribe(inbox)
        await thief.publish(
            ASKED["a request for work that expires"][0], ASKED["a request for work that expires"][1], reply=inbox
        )
        await last.next_msg(timeout=5)

    after = await victim.counts()
    if asked == "a receipt":
        # Its own results are many and unreadable now, and nobody else's.
        before["NODE_RESULTS"] += len(LED_TO)
    assert (after, heard) == (before, [])
    await victim.topology.jetstream().consumer_info("NODE_WORK", "http_request")


async def test_in_one_account_a_list_of_subjects_does_not_hold(tmp_path: Path) -> None:
    """Why there are accounts. When a server refuses this, they may be given up."""
    port, take = free_port(), "$JS.API.CONSUMER.MSG.NEXT.NODE_WORK.llm"
    thief = f'{{ user: thief, password: p, permissions: {{ publish: ["{take}"], subscribe: ["_INBOX_thief.>"] }} }}'
    async with nats_process(tmp_path, port, f"authorization {{ users: [ {{ user: admin, password: p }}, {thief} ] }}"):
        admin = await connect(f"nats://admin:p@127.0.0.1:{port}")
        await make_topology(f"nats://admin:p@127.0.0.1:{port}")
        await ensure_node_type_durable(admin.jetstream(), "llm")
        client = await connect(f"nats://thief:p@127.0.0.1:{port}")
        subject, body = ASKED["a request for work that is not there"]
        assert subject == take

        await client.publish(subject, body, reply="$JS.API.STREAM.DELETE.RUN_EVENTS")

        async def is_gone() -> bool:
            try:
                await admin.jetstream().stream_info("RUN_EVENTS")
            except NotFoundError:
                return True
            return False

        await eventually(is_gone, "the stream's end")
        await client.close()
        await admin.close()


async def test_one_type_cannot_remove_the_announcements_of_another(server: PermittedNats, victim: Victim) -> None:
    before = await victim.counts()
    async with connected(server, "executor-llm") as (thief, _):
        await thief.publish(subjects.announcement("llm", "one"), b"", headers={"Nats-Rollup": "all"})
        await thief.flush()

    assert await victim.counts() == before


async def test_a_consumer_cannot_be_made_to_deliver_elsewhere(server: PermittedNats, victim: Victim) -> None:
    async with connected(server, "executor-llm") as (thief, _):
        jetstream = thief.jetstream(timeout=0.2)
        config = ConsumerConfig(deliver_subject="pipewright.run.event.completed")
        for stream in ("OBJ_transfers", "KV_ended_runs", "NODE_WORK"):
            with pytest.raises((nats.errors.Error, nats.js.errors.Error)):
                await jetstream.add_consumer(stream, config)
