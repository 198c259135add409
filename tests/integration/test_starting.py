"""Starts with data that could harm those of others: each is refused for itself, and the coordinator goes on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import nats.errors
import orjson
import pytest

from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.states import RunStatus
from shared.errors import ServiceError
from tests.eventually import eventually
from tests.integration.engine import Engine
from tests.integration.hand_worker import completed


def nested(depth: int) -> Any:
    return orjson.loads(b'{"in":' * depth + b"1" + b"}" * depth)


def request_body(pipeline: str, run_id: UUID, run_input: str = "{}", **more: Any) -> bytes:
    """As anybody could write it, whatever our own writers refuse."""
    head = orjson.dumps({"pipeline": pipeline, "run_id": str(run_id), **more})
    return head[:-1] + b',"input":' + run_input.encode() + b"}"


async def published(engine: Engine, pipeline: str, run_input: str = "{}", **more: Any) -> UUID:
    run_id = new_id()
    await engine.jetstream.publish(subjects.RUN_REQUEST, request_body(pipeline, run_id, run_input, **more))
    return run_id


async def row_of(engine: Engine, run_id: UUID) -> dict[str, Any]:
    """The run as it is stored, when it is."""
    found: list[dict[str, Any]] = []

    async def is_there() -> bool:
        found[:] = await engine.query(
            "SELECT status::text AS status, error, pipeline_slug FROM runs.pipeline_runs WHERE id = %s", run_id
        )
        return bool(found)

    await eventually(is_there, f"run {run_id}")
    return found[0]


async def still_runs(engine: Engine, slug: str) -> None:
    run_id = await engine.start(slug)
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)


@pytest.mark.parametrize("depth", [102, 253, 254, 900])
async def test_input_that_is_nested_too_deep_becomes_a_failed_run(engine: Engine, depth: int) -> None:
    await engine.apply("deep", "a")

    run_id = await published(engine, "deep", '{"a":' * depth + "1" + "}" * depth)

    row = await row_of(engine, run_id)
    assert (row["status"], row["error"]["code"]) == ("failed", "invalid_input")
    assert "inside each other" in row["error"]["message"]
    assert (await engine.read(run_id)).status is RunStatus.FAILED
    await still_runs(engine, "deep")


@pytest.mark.parametrize(
    "run_input", ['{"a":' * 150 + "1" + "}" * 150, '{"a":' * 900 + "1" + "}" * 900, f'{{"a": {"9" * 40}}}']
)
async def test_input_that_cannot_be_passed_on_is_refused_when_somebody_waits(engine: Engine, run_input: str) -> None:
    await engine.apply("refused", "a")

    body = request_body("refused", new_id(), run_input)
    answer = orjson.loads((await engine.client.nats.request(subjects.RUNS_START, body, timeout=10)).data)

    assert answer["error"]["status"] == 422, answer
    await still_runs(engine, "refused")


async def test_output_that_is_nested_too_deep_fails_its_attempt_alone(engine: Engine) -> None:
    await engine.apply("deep-output", "ab", a={"on_error": "continue"})
    run_id = await engine.start("deep-output")
    first, second = await engine.worker.take(2)

    deep = orjson.dumps(completed(first, {"put": "here"})).replace(b'{"put":"here"}', orjson.dumps(nested(250)))
    body = b'{"worker":"foreign","results":[' + deep + b"," + orjson.dumps(completed(second)) + b"]}"
    await engine.jetstream.publish(subjects.node_result("step"), body)

    run = await engine.ends(run_id)
    results = {node.node_key: node for node in run.node_results or []}
    assert results["a"].error is not None
    assert results["a"].error.code == "unstorable_output"
    assert results["b"].status == "completed"


async def test_unreadable_result_that_is_nested_too_deep_is_parked_alone(engine: Engine) -> None:
    await engine.apply("deep-nonsense", "a")
    run_id = await engine.start("deep-nonsense")
    ready = await engine.worker.take_one()

    deep = b"[" * 300 + b"]" * 300
    body = b'{"worker":"foreign","results":[' + deep + b"," + orjson.dumps(completed(ready)) + b"]}"
    await engine.jetstream.publish(subjects.node_result("step"), body)

    await engine.ends(run_id)
    assert await engine.parked("node_result") == 1


@pytest.mark.parametrize(
    "poison",
    [{"pipeline": "a\x00b"}, {"idempotency_key": "a\x00b"}, {"traceparent": "a\x00b"}, {"pipeline": "x" * 300}],
)
async def test_one_poisoned_request_of_a_batch_harms_none_of_the_others(engine: Engine, poison: dict[str, Any]) -> None:
    await engine.apply("batch", "a")
    poisoned = new_id()

    bodies = [request_body("batch", new_id()) for _ in range(10)]
    bodies.insert(5, request_body(**{"pipeline": "batch", "run_id": poisoned, **poison}))
    for body in bodies:
        await engine.client.nats.publish(subjects.RUN_REQUEST, body)

    readies = await engine.worker.take(11 if "traceparent" in poison else 10)
    await engine.worker.complete(*readies)
    for ready in readies:
        await engine.ends(UUID(ready["run_id"]))
    if "traceparent" not in poison:
        row = await row_of(engine, poisoned)
        assert (row["status"], row["error"]["code"]) == ("failed", "invalid_request")
    assert await engine.parked("run_request") == 0


async def test_request_comes_again_while_the_definition_service_has_a_fault(engine: Engine) -> None:
    """Its table is away for a while, as it is between a wrong migration and its repair."""
    await engine.apply("comes-again", "a")
    await engine.query("ALTER TABLE definition.pipelines RENAME TO away")

    run_id = await published(engine, "comes-again")
    with pytest.raises((ServiceError, nats.errors.Error)):
        await engine.client.run("comes-again", idempotency_key="one")
    await engine.query("ALTER TABLE definition.away RENAME TO pipelines")

    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)
    assert await engine.parked("run_request") == 0


async def test_a_fault_of_ours_ends_no_coordinator_and_loses_no_request(engine: Engine) -> None:
    """A table that only starts need is away for a while."""
    await engine.apply("our-fault", "a")
    await engine.query("ALTER TABLE runs.version_nodes RENAME TO away")

    run_id = await published(engine, "our-fault")
    with pytest.raises(ServiceError, match="because of a fault"):
        await engine.client.run("our-fault", idempotency_key="one")
    await engine.query("ALTER TABLE runs.away RENAME TO version_nodes")

    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)
    assert await engine.parked("run_request") == 0
