"""A run that somebody waits for comes with the event of its end, and is what reading it gives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from nats.aio.msg import Msg

from services.coordinator.awaited import SHOWN_BYTES
from shared.contracts import subjects
from shared.contracts.runs import RunEvent, RunRequested, RunStarted
from tests.eventually import eventually
from tests.integration.engine import Engine


class Ends:
    """The events of runs' ends, as they are heard."""

    def __init__(self) -> None:
        self._heard: dict[UUID, RunEvent] = {}

    async def hear(self, message: Msg) -> None:
        event = RunEvent.model_validate_json(message.data)
        if event.status.is_final:
            self._heard[event.run_id] = event

    async def of(self, run_id: UUID) -> RunEvent:
        await eventually(lambda: run_id in self._heard, "the event of its end")
        return self._heard[run_id]


@pytest.fixture
async def ends(engine: Engine) -> AsyncIterator[Ends]:
    found = Ends()
    subscription = await engine.client.nats.subscribe(subjects.ALL_RUN_EVENTS, cb=found.hear)
    yield found
    await subscription.unsubscribe()


async def start(engine: Engine, slug: str, run_input: dict[str, Any] | None = None, *, is_awaited: bool = True) -> UUID:
    request = RunRequested(pipeline=slug, input=run_input or {}, is_awaited=is_awaited)
    answer = await engine.client.nats.request(subjects.RUNS_START, request.model_dump_json().encode(), timeout=10)
    return RunStarted.model_validate_json(answer.data).run_id


async def test_a_completed_run_comes_with_its_end(engine: Engine, ends: Ends) -> None:
    await engine.apply("awaited", "ab", [("a", "b")])
    run_id = await start(engine, "awaited", {"word": "tea"})

    await engine.worker.complete(await engine.worker.take_one())
    await engine.worker.complete(await engine.worker.take_one(), output={"said": "\u2028 tea"})

    event = await ends.of(run_id)
    assert event.run is not None
    assert event.run.output == {"b": {"said": "\u2028 tea"}}
    assert event.run == await engine.client.get_run(run_id)


async def test_a_failed_run_comes_with_its_error(engine: Engine, ends: Ends) -> None:
    await engine.apply("awaited-failure", "ab", [("a", "b")])
    run_id = await start(engine, "awaited-failure")

    await engine.worker.fail(await engine.worker.take_one())

    event = await ends.of(run_id)
    assert event.run is not None
    assert event.run.error == event.error
    assert event.run == await engine.client.get_run(run_id)


async def test_nobody_is_sent_a_run_that_nobody_awaits(engine: Engine, ends: Ends) -> None:
    await engine.apply("not-awaited", "a")
    run_id = await start(engine, "not-awaited", is_awaited=False)

    await engine.worker.complete(await engine.worker.take_one())

    assert (await ends.of(run_id)).run is None


async def test_a_large_run_is_left_to_who_wants_it(engine: Engine, ends: Ends) -> None:
    await engine.apply("awaited-large", "a")
    run_id = await start(engine, "awaited-large")

    await engine.worker.complete(await engine.worker.take_one(), output={"said": "x" * SHOWN_BYTES})

    assert (await ends.of(run_id)).run is None


async def test_an_output_of_which_a_part_was_stored_before_is_left_to_who_wants_it(engine: Engine, ends: Ends) -> None:
    await engine.apply("awaited-parts", "ab")
    run_id = await start(engine, "awaited-parts")
    first, second = await engine.worker.take(2)
    await engine.worker.complete(first)
    await eventually(lambda: _is_done(engine, run_id, "a"), "the first is stored")

    await engine.worker.complete(second)

    assert (await ends.of(run_id)).run is None
    assert (await engine.client.get_run(run_id)).output == {"a": {"said": "a"}, "b": {"said": "b"}}


async def _is_done(engine: Engine, run_id: UUID, key: str) -> bool:
    return (await engine.statuses(run_id))[key] == "completed"
