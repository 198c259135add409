"""Ready nodes leave in parts, and their acknowledgements are waited for together."""

from __future__ import annotations

import asyncio

import nats
import pytest

from services.coordinator import dispatch
from services.coordinator.dispatch import Sent
from shared.bus.publish import Outgoing, Publisher
from shared.contracts import subjects

SUBJECT = subjects.node_ready("step")


async def test_all_parts_are_stored_or_it_is_told(nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "TIMEOUT_S", 0.5)
    client = await nats.connect(nats_url)
    publisher = Publisher(client)
    await publisher.start()
    jetstream = client.jetstream()
    clock = asyncio.get_running_loop().time

    sent = Sent(publisher)
    for part in range(3):
        sent.send([Outgoing(SUBJECT, b"{}", f"stored-{part}-{number}") for number in range(10)])
    assert await sent.is_stored()
    assert (await jetstream.stream_info(subjects.NODE_WORK)).state.messages == 30

    # Nobody takes them now, and to wait for one part is to wait for all.
    await jetstream.delete_stream(subjects.NODE_WORK)
    lost = Sent(publisher)
    for part in range(4):
        lost.send([Outgoing(SUBJECT, b"{}", f"lost-{part}")])
    began = clock()
    assert not await lost.is_stored()
    assert clock() - began < 1.0
    await client.close()


async def test_what_was_not_stored_is_not_forgotten_by_a_later_part(
    nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "TIMEOUT_S", 0.3)
    client = await nats.connect(nats_url)
    publisher = Publisher(client)
    await publisher.start()

    sent = Sent(publisher)
    sent.send([Outgoing("pipewright.no.stream", b"{}")])
    assert not await sent.is_stored()
    sent.send([Outgoing(SUBJECT, b"{}")])
    assert not await sent.is_stored()
    await client.close()
