"""What people do to runs: hold and start, end by hand, run again; each with its audit."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from shared.bus.rpc import Rpc
from shared.bus.transfers import Transfers
from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.runs import (
    AuditTrail,
    NodeResultPage,
    NodeResultsList,
    Run,
    RunAudit,
    RunRelease,
    RunRequested,
    RunRetry,
    RunSettle,
    RunStarted,
)
from shared.contracts.states import NodeStatus, RunStatus
from shared.errors import ProblemError
from tests.integration.engine import Engine

DIAMOND = (("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))


def rpc_of(engine: Engine) -> Rpc:
    return Rpc(engine.client.nats, Transfers(engine.jetstream))


async def hold(engine: Engine, slug: str) -> UUID:
    request = RunRequested(pipeline=slug, input={}, run_id=new_id(), hold=True)
    started = await rpc_of(engine).call(subjects.RUNS_START, request, RunStarted)
    assert started.status is RunStatus.PENDING
    return started.run_id


async def retry(engine: Engine, run_id: UUID, **more: Any) -> Run:
    return await rpc_of(engine).call(subjects.RUNS_RETRY, RunRetry(run_id=run_id, actor="ops", **more), Run)


async def audit(engine: Engine, run_id: UUID) -> list[tuple[str, str | None, str | None]]:
    trail = await rpc_of(engine).call(subjects.RUNS_AUDIT, RunAudit(run_id=run_id), AuditTrail)
    return [(entry.action, entry.actor, entry.reason) for entry in trail.audit]


async def test_held_run_begins_when_it_is_started(engine: Engine) -> None:
    await engine.apply("held", "ab", [("a", "b")])
    run_id = await hold(engine, "held")
    assert await engine.statuses(run_id) == {"a": "pending", "b": "pending"}
    assert await engine.worker.waiting() == 0

    run = await rpc_of(engine).call(subjects.RUNS_RELEASE, RunRelease(run_id=run_id, actor="ops"), Run)

    assert run.status is RunStatus.RUNNING
    assert run.started_at is not None
    await engine.worker.complete(await engine.worker.take_one())
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)
    assert await audit(engine, run_id) == [("start", "ops", None)]
    with pytest.raises(ProblemError, match=r"is completed; 'start' is not possible from there. Possible are: retry"):
        await rpc_of(engine).call(subjects.RUNS_RELEASE, RunRelease(run_id=run_id), Run)


async def test_held_run_is_left_alone_by_the_reconciler(engine: Engine) -> None:
    await engine.apply("held-long", "a")
    run_id = await hold(engine, "held-long")
    await engine.query("UPDATE runs.pipeline_runs SET changed_at = changed_at - interval '1 hour'")
    # Another run's whole life goes by, and several sweeps with it.
    other = await engine.start("held-long")
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(other)

    assert await engine.statuses(run_id) == {"a": "pending"}
    await engine.client.cancel(run_id)
    assert await engine.statuses(run_id) == {"a": "skipped"}


@pytest.mark.parametrize(("status", "code"), [("completed", None), ("failed", "failed_by_hand")])
async def test_run_is_ended_by_hand_with_a_reason(engine: Engine, status: str, code: str | None) -> None:
    await engine.apply("by-hand", "ab", [("a", "b")])
    run_id = await engine.start("by-hand")
    ready = await engine.worker.take_one()

    request = RunSettle.model_validate({"run_id": run_id, "status": status, "reason": "done elsewhere", "actor": "ops"})
    run = await rpc_of(engine).call(subjects.RUNS_SETTLE, request, Run)

    assert run.status == status
    assert (run.error.code if run.error else None) == code
    await engine.worker.complete(ready)
    await engine.settled()
    assert await engine.statuses(run_id) == {"a": "cancelled", "b": "skipped"}
    action = "complete" if status == "completed" else "fail"
    assert await audit(engine, run_id) == [(action, "ops", "done elsewhere")]
    with pytest.raises(ProblemError, match="is not possible from there") as refusal:
        await rpc_of(engine).call(subjects.RUNS_SETTLE, request, Run)
    assert refusal.value.problem.status == 409


async def test_retry_from_the_failed_nodes_keeps_what_is_done(engine: Engine) -> None:
    await engine.apply("retried", "abcd", DIAMOND, d={"config": {"say": "{{ nodes.b.said }} {{ nodes.c.said }}"}})
    run_id = await engine.start("retried")
    await engine.worker.complete(await engine.worker.take_one())
    left, right = await engine.worker.take(2)
    await engine.worker.complete(left, output={"said": "kept"})
    await engine.worker.fail(right)
    await engine.ends(run_id, RunStatus.FAILED)

    again = await retry(engine, run_id)

    assert again.retry_of == run_id
    assert await engine.statuses(again.id) == {"a": "completed", "b": "completed", "c": "running", "d": "pending"}
    ready = await engine.worker.take_one()
    assert (ready["run_id"], ready["node_key"], ready["attempt"]) == (str(again.id), "c", 1)
    await engine.worker.complete(ready)
    last = await engine.worker.take_one()
    assert last["inputs"]["nodes"]["b"]["output"] == {"said": "kept"}
    await engine.worker.complete(last)
    await engine.ends(again.id)
    assert await engine.statuses(run_id) == {"a": "completed", "b": "completed", "c": "failed", "d": "skipped"}


async def test_whole_retry_runs_everything(engine: Engine) -> None:
    await engine.apply("repeated", "ab", [("a", "b")])
    run_id = await engine.start("repeated", {"n": 1})
    for _ in range(2):
        await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)

    again = await retry(engine, run_id, start_from="start")

    assert (again.input, again.version) == ({"n": 1}, 1)
    for _ in range(2):
        await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(again.id)


async def test_retry_asked_for_twice_with_one_id_is_one_run(engine: Engine) -> None:
    await engine.apply("asked-twice", "a")
    run_id = await engine.start("asked-twice")
    await engine.worker.fail(await engine.worker.take_one())
    await engine.ends(run_id, RunStatus.FAILED)
    new_run_id = new_id()

    made = await asyncio.gather(*(retry(engine, run_id, new_run_id=new_run_id) for _ in range(5)))

    assert {run.id for run in made} == {new_run_id}
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(new_run_id)
    assert await engine.worker.waiting() == 0


async def test_retry_under_the_id_of_another_run_is_refused(engine: Engine) -> None:
    await engine.apply("taken-id", "a")
    run_id, other = await engine.start("taken-id"), await engine.start("taken-id")
    await engine.worker.complete(*await engine.worker.take(2))
    await engine.ends(run_id)
    await engine.ends(other)
    again = await retry(engine, run_id, start_from="start")

    for asked in (
        {"run_id": run_id, "new_run_id": other},
        {"run_id": run_id, "new_run_id": run_id},
        {"run_id": other, "new_run_id": again.id, "start_from": "start"},
        {"run_id": run_id, "new_run_id": again.id, "start_from": "failed"},
    ):
        with pytest.raises(ProblemError, match="and another body") as refusal:
            await retry(engine, **asked)
        assert (refusal.value.problem.status, refusal.value.problem.type) == (409, "another_body")
    assert (await retry(engine, run_id, new_run_id=again.id, start_from="start")).id == again.id


async def test_start_that_is_held_is_another_one_than_a_start_that_is_not(engine: Engine) -> None:
    await engine.apply("held-or-not", "a")
    request = RunRequested(pipeline="held-or-not", run_id=new_id(), hold=True)
    await rpc_of(engine).call(subjects.RUNS_START, request, RunStarted)

    with pytest.raises(ProblemError, match="and another body"):
        await rpc_of(engine).call(subjects.RUNS_START, request.model_copy(update={"hold": False}), RunStarted)


async def test_pipeline_is_started_by_its_id_in_any_letters(engine: Engine) -> None:
    await engine.apply("by-id", "a")
    pipeline = await engine.client.get_pipeline("by-id")

    run_id = await engine.start(str(pipeline.id).upper())

    await engine.worker.complete(await engine.worker.take_one())
    assert (await engine.ends(run_id)).pipeline_slug == "by-id"
    with pytest.raises(ProblemError, match="There is no pipeline 'BY-ID'"):
        await engine.start("BY-ID")


async def test_run_that_goes_on_cannot_be_retried(engine: Engine) -> None:
    await engine.apply("goes-on", "a")
    run_id = await engine.start("goes-on")

    with pytest.raises(ProblemError, match=r"is running; 'retry' .* Possible are: complete, fail, cancel"):
        await retry(engine, run_id)


async def test_retry_of_a_cancelled_run_begins_where_it_was_stopped(engine: Engine) -> None:
    await engine.apply("stopped", "ab", [("a", "b")])
    run_id = await engine.start("stopped")
    await engine.worker.complete(await engine.worker.take_one())
    await engine.worker.take_one()
    await engine.client.cancel(run_id)

    again = await retry(engine, run_id)

    assert await engine.statuses(again.id) == {"a": "completed", "b": "running"}


async def test_node_results_come_in_pages(engine: Engine) -> None:
    await engine.apply("paged", "abcde")
    run_id = await engine.start("paged")
    first = await engine.worker.take(5)
    await engine.worker.complete(*first[:2])
    await engine.settled()
    rpc = rpc_of(engine)

    page = await rpc.call(subjects.NODE_RESULTS_LIST, NodeResultsList(run_id=run_id, limit=3), NodeResultPage)
    rest = await rpc.call(
        subjects.NODE_RESULTS_LIST, NodeResultsList(run_id=run_id, limit=3, after=page.next_after), NodeResultPage
    )
    done = await rpc.call(
        subjects.NODE_RESULTS_LIST, NodeResultsList(run_id=run_id, status=NodeStatus.COMPLETED), NodeResultPage
    )

    assert [node.node_key for node in page.node_results + rest.node_results] == list("abcde")
    assert (page.next_after, rest.next_after) == ("c", None)
    assert [node.node_key for node in done.node_results] == ["a", "b"]


@pytest.mark.parametrize(
    ("subject", "more"),
    [
        (subjects.RUNS_CANCEL, {}),
        (subjects.RUNS_SETTLE, {"status": "completed"}),
        (subjects.RUNS_SETTLE, {"status": "failed"}),
    ],
)
async def test_reason_that_cannot_be_stored_changes_nothing(engine: Engine, subject: str, more: dict[str, Any]) -> None:
    await engine.apply("unstorable", "a")
    run_id = await hold(engine, "unstorable")

    body = orjson.dumps({"run_id": str(run_id), "reason": "a\x00b", **more})
    answer = orjson.loads((await engine.client.nats.request(subject, body, timeout=10)).data)

    assert answer["error"]["status"] == 422, answer
    assert (await engine.read(run_id)).status is RunStatus.PENDING
