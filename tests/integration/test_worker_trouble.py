"""A worker on the kit in trouble: work it cannot read, outputs nobody takes, node types that do not end."""

from __future__ import annotations

from typing import Any

import pytest

from services.executors.kit import attempt as attempt_module
from shared.bus.transfers import Transfers
from shared.contracts import subjects
from tests.eventually import eventually
from tests.integration.steps import Hands


def without(ready: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in ready.items() if name not in names}


@pytest.mark.parametrize(
    ("missing", "more"),
    [(("config",), {}), ((), {"timeout_s": "soon"}), ((), {"config": [1]}), (("node_type", "dispatch"), {})],
    ids=str,
)
async def test_work_that_cannot_be_read_fails_when_it_can_be_told_whose_it_is(
    hands: Hands, missing: tuple[str, ...], more: dict[str, Any]
) -> None:
    await hands.publish(without(hands.ready("a", {"do": "give"}), *missing) | more)

    result = await hands.result("a")

    assert (result["run_id"], result["attempt"], result["token"]) == (hands.run_id, 1, "t")
    outcome = result["outcome"]
    assert (outcome["error"]["code"], outcome["retryable"]) == ("unreadable_work", False)
    await eventually(hands.is_done, "the acknowledgement")
    assert (await hands.client.jetstream().stream_info(subjects.DEAD_LETTERS)).state.messages == 1


async def test_inputs_that_cannot_be_read_fail_their_attempt(hands: Hands) -> None:
    reference = await Transfers(hands.client.jetstream()).put(b'{"nodes": 7}')

    await hands.send("a", {"do": "give"}, inputs=None, inputs_ref=reference.model_dump())

    outcome = (await hands.result("a"))["outcome"]
    assert (outcome["error"]["code"], outcome["retryable"]) == ("unreadable_work", False)


async def test_an_output_that_nobody_takes_for_a_while_is_kept_without_doing_the_work_again(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_module, "KEEP_AGAIN_S", (0.05,) * 200)
    jetstream = hands.client.jetstream()
    await jetstream.delete_object_store(subjects.TRANSFERS_BUCKET)

    await hands.send("a", {"do": "large"})
    await eventually(lambda: hands.steps.begun == ["a"], "the work")
    await jetstream.create_object_store(subjects.TRANSFERS_BUCKET)

    assert (await hands.result("a"))["outcome"]["output_ref"]["size"] > 700_000
    assert hands.steps.begun == ["a"]


async def test_an_output_that_nobody_takes_may_be_made_again(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt_module, "KEEP_AGAIN_S", (0.05,))
    await hands.client.jetstream().delete_object_store(subjects.TRANSFERS_BUCKET)

    await hands.send("a", {"do": "large"})

    outcome = (await hands.result("a"))["outcome"]
    assert (outcome["error"]["code"], outcome["retryable"]) == ("output_not_kept", True)
