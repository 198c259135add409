"""One run for one request: said twice in one moment, again after its pipeline has gone, or delivered again."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus.pull import delivery_of
from shared.bus.rpc import Rpc
from shared.bus.transfers import Transfers
from shared.clock import id_of, new_id
from shared.contracts import subjects
from shared.contracts.runs import RunRequested, RunStarted
from shared.contracts.states import RunStatus
from shared.errors import ProblemError
from tests.eventually import eventually
from tests.integration.engine import Engine


async def ask(engine: Engine, **fields: object) -> RunStarted:
    request = RunRequested.model_validate({"pipeline": "asked", **fields})
    rpc = Rpc(engine.client.nats, Transfers(engine.jetstream))
    return await rpc.call(subjects.RUNS_START, request, RunStarted)


async def test_two_bodies_under_one_id_at_one_moment_do_not_mix(engine: Engine) -> None:
    await engine.apply("asked", "a", a={"config": {"say": "{{ input.word }}"}})
    await ask(engine)
    await engine.worker.complete(await engine.worker.take_one())
    run_id = new_id()
    words = [f"word {number}" for number in range(20)]

    answers = await asyncio.gather(
        *(ask(engine, run_id=run_id, input={"word": word}) for word in words), return_exceptions=True
    )

    [made] = [word for word, answer in zip(words, answers, strict=True) if isinstance(answer, RunStarted)]
    refused = [answer for answer in answers if isinstance(answer, ProblemError)]
    assert [answer.problem.type for answer in refused] == ["another_body"] * 19
    ready = await engine.worker.take_one()
    assert ready["inputs"]["input"] == {"word": made} == (await engine.read(run_id)).input
    await engine.worker.complete(ready)
    await engine.ends(run_id)


@pytest.mark.parametrize("named_by", ["run_id", "idempotency_key"])
@pytest.mark.parametrize("verb", ["archive", "delete"])
async def test_start_that_is_asked_for_again_is_the_same_run_when_its_pipeline_has_gone(
    engine: Engine, named_by: str, verb: str
) -> None:
    await engine.apply("asked", "a")
    name: dict[str, object] = {named_by: str(new_id()), "input": {"n": 1}}
    started = await ask(engine, **name)
    await (engine.client.delete_pipeline if verb == "delete" else engine.client.archive_pipeline)("asked")

    again = await ask(engine, **name)

    assert again.run_id == started.run_id
    with pytest.raises(ProblemError):
        await ask(engine, **(name | {"input": {"n": 2}}))
    with pytest.raises(ProblemError):
        await ask(engine, run_id=new_id())


async def test_start_of_the_stream_that_is_delivered_again_when_its_pipeline_has_gone_is_the_same_run(
    engine: Engine,
) -> None:
    await engine.apply("asked", "a")
    run_id = new_id()
    request = RunRequested(pipeline="asked", run_id=run_id).model_dump_json(exclude_none=True).encode()
    await engine.jetstream.publish(subjects.RUN_REQUEST, request)
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)
    await engine.client.delete_pipeline("asked")

    await engine.jetstream.publish(subjects.RUN_REQUEST, request)

    await eventually(lambda: _is_empty(engine), "the request's acknowledgement")
    assert await engine.parked("run_request") == 0
    assert (await engine.read(run_id)).status is RunStatus.COMPLETED


async def test_plain_request_is_one_run_however_often_it_is_delivered(nats_url: str, database_url: str) -> None:
    async with Engine.started(nats_url, database_url, has_coordinator=False) as engine:
        await engine.apply("asked", "a")
        await engine.jetstream.publish(subjects.RUN_REQUEST, b'{"pipeline": "asked", "input": {}}')
        durable = await engine.jetstream.pull_subscribe_bind(subjects.RUN_REQUESTS_DURABLE, subjects.RUN_REQUESTS)
        [first] = await durable.fetch(1)
        delivery = delivery_of(first)
        await first.nak()

        async with engine.coordinator():
            ready = await engine.worker.take_one()
            await engine.worker.complete(ready)

    assert ready["run_id"] == str(id_of(delivery.sent_at_ns, str(delivery.sequence)))


async def _is_empty(engine: Engine) -> bool:
    return (await engine.jetstream.stream_info(subjects.RUN_REQUESTS)).state.messages == 0
