"""Streams of events in a gateway whose partners come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import nats
import nats.errors
import orjson
import pytest
from nats.aio.client import Client

from services.gateway.app import make_app
from services.gateway.feed import Feed
from services.gateway.keys import Keys
from services.gateway.settings import GatewaySettings
from services.gateway.sse import RunStream
from services.gateway.waiting import Endings
from services.gateway.wiring import Wiring
from shared.bus.connection import Bus
from shared.bus.rpc import Endpoint, PlainReply, Rpc
from shared.bus.transfers import Transfers
from shared.contracts import subjects
from shared.contracts.runs import RunGet
from shared.errors import UnavailableError
from shared.postgres import make_pool
from shared.readiness import Readiness

KEY = "a-key-of-a-gateway-in-this-process"


@pytest.fixture
async def gateway(nats_url: str, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    bus, pool = Bus(nats_url, "gateway"), make_pool(database_url, "gateway")
    await bus.connect()
    app = make_app(GatewaySettings())
    jetstream = bus.client.jetstream(timeout=3)
    rpc = Rpc(bus.client, Transfers(jetstream))
    app.state.wiring = Wiring(
        rpc, jetstream, Endings(bus.client, rpc), Keys(pool, KEY), Feed(bus.client), Readiness(bus, pool)
    )
    app.state.is_stopping = lambda: False
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway/api/v3", headers=headers
    ) as client:
        yield client
    await bus.close()


async def test_events_that_cannot_be_heard_are_refused_and_not_cut(gateway: httpx.AsyncClient, client: Client) -> None:
    await client.jetstream().delete_stream(subjects.RUN_EVENTS)

    refused = await gateway.get("/events")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 10**19])
async def test_id_that_no_event_can_have_is_refused(gateway: httpx.AsyncClient, number: int) -> None:
    refused = await gateway.get("/events", headers={"last-event-id": str(number)})

    assert (refused.status_code, refused.json()["type"]) == (422, "invalid_event_id")


async def test_listener_who_could_not_be_let_in_leaves_nothing_behind(nats_url: str) -> None:
    connected = await nats.connect(nats_url)
    feed = Feed(connected)
    async with feed.listen("before"):
        pass
    await connected.close()

    with pytest.raises(nats.errors.Error):
        async with feed.listen("after"):
            pass

    assert not feed.is_heard


class Coordinator:
    """Answers with a run that has ended, but is away when it is asked for the second time."""

    def __init__(self) -> None:
        self.asked = 0

    async def get(self, request: RunGet) -> PlainReply:
        self.asked += 1
        if self.asked == 2:
            raise UnavailableError("database_unavailable", "The database is not available now.")
        nodes = [] if request.include_node_results else None
        return PlainReply({"id": request.run_id, "status": "completed", "seq": 4, "node_results": nodes})


async def told(stream: RunStream) -> list[tuple[str, int, str]]:
    """Kind, id and status of each event."""
    found = []
    async for event in stream.events():
        fields = dict(line.split(": ", 1) for line in event.decode().splitlines() if line and not line.startswith(":"))
        if fields:
            found.append((fields["event"], int(fields["id"]), orjson.loads(fields["data"])["status"]))
    return found


async def test_end_is_told_when_the_run_can_be_read_again(client: Client) -> None:
    rpc = Rpc(client, Transfers(client.jetstream()))
    await rpc.serve({subjects.RUNS_GET: Endpoint(RunGet, Coordinator().get)}, "coordinator")

    events = await told(RunStream(Feed(client), rpc, str(uuid4()), lambda: False))

    assert events == [("snapshot", 4, "completed"), ("end", 5, "completed")]


async def test_whoever_was_cut_off_before_the_end_is_told_of_it_alone(client: Client) -> None:
    rpc = Rpc(client, Transfers(client.jetstream()))
    await rpc.serve({subjects.RUNS_GET: Endpoint(RunGet, Coordinator().get)}, "coordinator")

    events = await told(RunStream(Feed(client), rpc, str(uuid4()), lambda: False, ended_at=4))

    assert events == [("end", 5, "completed")]
