"""Results that nobody can keep: each fails its own attempt or is parked, and every coordinator goes on."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from shared.contracts import subjects
from shared.contracts.runs import Run
from shared.contracts.states import RunStatus
from tests.integration.engine import Engine
from tests.integration.hand_worker import completed, failed

DEEP: Any = "at the bottom"
for _ in range(300):
    DEEP = {"deeper": [DEEP]}


async def settle_among_others(engine: Engine, bad: dict[str, Any], status: RunStatus, worker: str = "hand-1") -> Run:
    """`bad` is said of node `b`, in one message with good results of two others, and of the next run."""
    run_id = await engine.start("bad")
    first, second, third = await engine.worker.take(3)
    await engine.worker.say(completed(first), bad | _names(second), completed(third), worker=worker)
    for ready in (first, second, third):
        await engine.worker.acknowledge(ready)
    run = await engine.ends(run_id, status)

    next_id = await engine.start("bad")
    await engine.worker.complete(*await engine.worker.take(3))
    await engine.ends(next_id)
    return run


def _names(ready: dict[str, Any]) -> dict[str, Any]:
    return {key: ready[key] for key in ("run_id", "node_key", "attempt", "token")}


@pytest.fixture
def nobody() -> dict[str, Any]:
    return {"run_id": "", "node_key": "", "attempt": 1, "token": ""}


@pytest.mark.parametrize("output", [{"said": "a\x00b"}, {"said": DEEP}, {"a\x00": 1}], ids=["zero", "deep", "key"])
async def test_output_that_cannot_be_kept_fails_its_attempt(
    engine: Engine, nobody: dict[str, Any], output: dict[str, Any]
) -> None:
    await engine.apply("bad", "abc")

    run = await settle_among_others(engine, completed(nobody, output), RunStatus.FAILED)

    assert run.error is not None
    assert (run.error.node_key, run.error.code) == ("b", "unstorable_output")


@pytest.mark.parametrize(
    "more",
    [
        {"error": {"code": "http\x00status", "message": "answered \x00\x00"}},
        {"retry_after_s": 1e308},
    ],
    ids=["zero", "endless wait"],
)
async def test_failure_in_words_that_cannot_be_kept_is_a_failure(
    engine: Engine, nobody: dict[str, Any], more: dict[str, Any]
) -> None:
    await engine.apply("bad", "abc")

    run = await settle_among_others(engine, failed(nobody, **more), RunStatus.FAILED)

    assert run.error is not None
    assert run.error.code in ("httpstatus", "broken")


async def test_wait_that_is_no_number_is_none(engine: Engine) -> None:
    await engine.apply("bad", "a", a={"retry": {"max_attempts": 2, "initial_delay_s": 0}})
    run_id = await engine.start("bad")

    await engine.worker.fail(await engine.worker.take_one(), retryable=True, retry_after_s="nan")

    await engine.worker.complete(await engine.worker.take_one(timeout_s=5))
    await engine.ends(run_id)


@pytest.mark.parametrize(
    "more",
    [
        {"metadata": {"cost": "\x00"}},
        {"metadata": {"usage": DEEP}},
        {"metadata": {"tokens": 10**40}},
        {"started_at": "0001-01-01T00:00:00+14:00", "finished_at": "9999-12-31T23:59:59-14:00"},
    ],
    ids=["zero", "deep", "big", "times"],
)
async def test_figures_that_cannot_be_kept_cost_no_output(
    engine: Engine, nobody: dict[str, Any], more: dict[str, Any]
) -> None:
    await engine.apply("bad", "abc")

    run = await settle_among_others(engine, completed(nobody, {"said": "well"}) | more, RunStatus.COMPLETED)

    assert (run.output or {})["b"] == {"said": "well"}


async def test_name_of_a_worker_is_kept_as_far_as_it_can_be(engine: Engine, nobody: dict[str, Any]) -> None:
    await engine.apply("bad", "abc")

    run = await settle_among_others(engine, completed(nobody), RunStatus.COMPLETED, worker="hand\x00" + "y" * 1000)

    worker = (run.node_results or [])[1].attempts[0].worker or ""
    assert (worker[:5], len(worker)) == ("handy", 200)


@pytest.mark.parametrize(
    "body", [b'["no object"]', b'{"said": "\\u0000"}', b'{"said": ' + b"[" * 300 + b"]" * 300 + b"}"]
)
async def test_output_by_reference_that_cannot_be_kept_fails_its_attempt(
    engine: Engine, nobody: dict[str, Any], body: bytes
) -> None:
    await engine.apply("bad", "abc")
    store = await engine.jetstream.object_store(subjects.TRANSFERS_BUCKET)
    await store.put("bad", body)
    reference = {"object": "bad", "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    bad = completed(nobody) | {"outcome": {"status": "completed", "output_ref": reference}}

    run = await settle_among_others(engine, bad, RunStatus.FAILED)

    assert run.error is not None
    assert run.error.code == "unstorable_output"


async def test_output_under_an_endless_name_is_lost_alone(engine: Engine, nobody: dict[str, Any]) -> None:
    """As a part of a subject it would make the server end the coordinator's connection."""
    await engine.apply("bad", "abc", b={"retry": {"max_attempts": 1}})
    reference = {"object": "x" * 100_000, "sha256": "0" * 64, "size": 1}
    bad = completed(nobody) | {"outcome": {"status": "completed", "output_ref": reference}}

    run = await settle_among_others(engine, bad, RunStatus.FAILED)

    assert run.error is not None
    assert run.error.code == "output_lost"


async def test_item_that_is_too_deep_to_be_shown_is_parked(engine: Engine) -> None:
    await engine.apply("bad", "a")
    run_id = await engine.start("bad")
    ready = await engine.worker.take_one()

    await engine.worker.say({"deep": DEEP}, completed(ready))

    await engine.ends(run_id)
    assert await engine.parked("node_result") == 1


async def test_result_that_postgres_takes_in_no_form_is_parked_alone(engine: Engine) -> None:
    await engine.apply("bad", "ab")
    run_id = await engine.start("bad")
    first, second = await engine.worker.take(2)
    await engine.query("ALTER TABLE runs.node_results ADD CHECK (node_key <> 'a' OR outcome IS NULL)")

    await engine.worker.complete(first, second)

    await engine.settled()
    assert await engine.parked("node_result") == 1
    assert await engine.statuses(run_id) == {"a": "running", "b": "completed"}
    assert orjson.loads((await engine.jetstream.get_msg("DEAD_LETTERS", 1)).data or b"")["kind"] == "node_result"
