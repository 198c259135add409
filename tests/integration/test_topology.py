"""Streams, consumers and buckets: made, found as they should be, changed where they differ."""

from __future__ import annotations

import asyncio

import nats
import pytest
from nats.js.api import StorageType
from nats.js.errors import ServerError

from services.cli.setup import make_topology
from shared.bus.topology import TopologyError, compare_topology
from shared.contracts import subjects

NAMES = {
    "DEAD_LETTERS",
    "KV_ended_runs",
    "KV_node_types",
    "NODE_RESULTS",
    "NODE_WORK",
    "OBJ_transfers",
    "RUN_EVENTS",
    "RUN_REQUESTS",
}


async def test_first_run_makes_all_and_the_second_nothing(empty_nats_url: str) -> None:
    made = await make_topology(empty_nats_url)

    assert {"NODE_WORK", "RUN_REQUESTS", "node_types", "NODE_RESULTS/coordinator"} <= {one.name for one in made}
    assert await make_topology(empty_nats_url) == []
    client = await nats.connect(empty_nats_url)
    found = {str(info.config.name) for info in await client.jetstream().streams_info()}
    await client.close()
    assert found == NAMES


async def test_two_runs_at_once_agree(empty_nats_url: str) -> None:
    await asyncio.gather(make_topology(empty_nats_url), make_topology(empty_nats_url))

    assert await make_topology(empty_nats_url) == []


async def test_difference_is_told_and_put_right(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    jetstream = client.jetstream()
    config = (await jetstream.stream_info(subjects.DEAD_LETTERS)).config
    config.max_age = 3600
    await jetstream.update_stream(config)
    await jetstream.delete_consumer(subjects.RUN_REQUESTS, subjects.RUN_REQUESTS_DURABLE)

    findings = await compare_topology(jetstream)
    put_right = await make_topology(nats_url)

    assert findings == ["stream DEAD_LETTERS differs in max_age", "consumer RUN_REQUESTS/coordinator is missing"]
    assert [(one.name, one.changes) for one in put_right] == [
        ("DEAD_LETTERS", ("max_age",)),
        ("RUN_REQUESTS/coordinator", ()),
    ]
    assert await compare_topology(jetstream) == []
    await client.close()


async def test_what_a_server_cannot_change_is_refused_with_what_to_do(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    jetstream = client.jetstream()
    config = (await jetstream.stream_info(subjects.NODE_WORK)).config
    config.storage, config.persist_mode = StorageType.MEMORY, None
    await jetstream.delete_stream(subjects.NODE_WORK)
    await jetstream.add_stream(config)
    await client.close()

    with pytest.raises(TopologyError, match=r"NODE_WORK differs in .*storage.*Delete the stream"):
        await make_topology(nats_url)


async def test_whoever_writes_one_key_cannot_remove_the_others(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    bucket = await client.jetstream().key_value(subjects.NODE_TYPES_BUCKET)
    await bucket.put("llm.one", b"there")

    with pytest.raises(ServerError):
        await client.jetstream().publish("$KV.node_types.text.two", b"", headers={"Nats-Rollup": "all"})

    assert await bucket.keys() == ["llm.one"]
    await client.close()
