"""What a node refers to is read in parts, and refused when one node refers to too much."""

from __future__ import annotations

from uuid import UUID

import orjson
import pytest

from services.coordinator import dispatch, large_inputs
from services.coordinator.store import settling
from shared.bus.transfers import Transfers
from shared.contracts.message import TransferRef
from shared.contracts.states import RunStatus
from tests.integration.engine import Engine

#: Bytes of each output that is joined; all three are more than travel in a message.
SIZE = 200_000


@pytest.fixture
def _reads_little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "OUTPUTS_AT_ONCE", SIZE * 3 // 2)


async def join(engine: Engine) -> UUID:
    """A run in which `j` is ready, and refers to three outputs, two of which were settled before."""
    says = "{{ nodes.a.said }}{{ nodes.b.said }}{{ nodes.c.said }}"
    await engine.apply("join", "abcj", [(key, "j") for key in "abc"], j={"config": {"say": says}})
    run_id = await engine.start("join")
    for ready in await engine.worker.take(3):
        await engine.worker.complete(ready, output={"said": ready["node_key"] * SIZE})
        await engine.settled()
    return run_id


@pytest.mark.usefixtures("_reads_little_at_once")
async def test_inputs_that_are_too_large_to_be_read_with_others_are_read_by_themselves(engine: Engine) -> None:
    run_id = await join(engine)

    ready = await engine.worker.take_one()

    inputs = orjson.loads(await Transfers(engine.jetstream).get(TransferRef.model_validate(ready["inputs_ref"])))
    assert {key: node["output"]["said"] for key, node in inputs["nodes"].items()} == {key: key * SIZE for key in "abc"}
    await engine.worker.complete(ready)
    await engine.ends(run_id)


@pytest.mark.usefixtures("_reads_little_at_once")
async def test_a_node_that_refers_to_too_much_fails_in_words(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_inputs, "INPUTS_LIMIT", SIZE * 3 // 2)

    run = await engine.ends(await join(engine), RunStatus.FAILED)

    [failed] = [node for node in run.node_results or [] if node.node_key == "j"]
    assert failed.error is not None
    assert failed.error.code == "inputs_too_large"
    assert "Node 'j' refers to outputs of 0.4 MiB ('a' 0.2 MiB, 'b' 0.2 MiB); at most 0.3 MiB" in failed.error.message
    assert await engine.worker.waiting() == 0


async def test_messages_beyond_a_part_are_published_all_the_same(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MOST_BYTES", 600)
    await engine.apply("wide", "abcdefg")

    run_id = await engine.start("wide")

    readies = await engine.worker.take(7)
    assert [ready["dispatch"] for ready in readies] == [1] * 7
    await engine.worker.complete(*readies)
    await engine.ends(run_id)
