"""What a coordinator does when something it needs is taken from it in the middle of its work."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

import orjson
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from services.cli.setup import make_topology
from services.coordinator.settler import RETRY_DELAY_S
from shared.bus.rpc import Rpc
from shared.bus.transfers import Transfers
from shared.contracts import subjects
from shared.contracts.runs import Run, RunCancel
from shared.contracts.states import RunStatus
from shared.errors import UnavailableError
from tests.eventually import eventually
from tests.faults.proxy import proxying
from tests.integration.engine import Engine
from tests.integration.hand_worker import completed


async def test_what_was_committed_while_the_answer_was_lost_is_announced(nats_url: str, database_url: str) -> None:
    async with (
        proxying(int(conninfo_to_dict(database_url)["port"] or 5432)) as proxy,
        Engine.started(nats_url, make_conninfo(database_url, host="127.0.0.1", port=proxy.port)) as engine,
    ):
        await engine.apply("cut", "ab", [("a", "b")])
        run_id = await engine.start("cut")
        ready = await engine.worker.take_one()

        proxy.cut_next_commit()
        await engine.worker.complete(ready)

        # The reconciler would find it too, but only after more than twice its margin of 5 s.
        second = await engine.worker.take_one(timeout_s=8)
        assert proxy.commits_cut == 1
        # It counts as sent now: its message would be taken for lost otherwise, and it would be executed twice.
        [sent] = await engine.query(
            "SELECT node.dispatched_at - run.changed_at AS later FROM runs.node_results AS node "
            "JOIN runs.pipeline_runs AS run ON run.id = node.run_id WHERE run.id = %s AND node.node_key = 'b'",
            run_id,
        )
        assert sent["later"].total_seconds() > RETRY_DELAY_S / 2
        assert (second["node_key"], second["dispatch"]) == ("b", 1)
        await engine.worker.complete(second)
        await engine.ends(run_id)


async def test_end_that_was_committed_and_not_told_is_told_when_its_result_comes_again(
    nats_url: str, database_url: str
) -> None:
    async with Engine.started(nats_url, database_url, has_coordinator=False) as engine:
        async with engine.coordinator():
            await engine.apply("untold", "ab")
            run_id = await engine.start("untold")
            first, _ = await engine.worker.take(2)
            await engine.worker.fail(first)
            await engine.ends(run_id, RunStatus.FAILED)
        # As if the coordinator had died before it told of the end.
        await (await engine.jetstream.key_value(subjects.ENDED_RUNS_BUCKET)).delete(str(run_id))
        await engine.worker.say(completed(first))
        durable = await engine.jetstream.pull_subscribe_bind(subjects.NODE_RESULTS_DURABLE, subjects.NODE_RESULTS)
        [message] = await durable.fetch(1)
        await message.nak()

        async with engine.coordinator():
            await eventually(lambda: _is_told(engine, run_id), "the end in the bucket")


async def test_cancel_that_the_workers_cannot_be_told_of_says_so_and_can_be_said_again(engine: Engine) -> None:
    await engine.apply("cancelled", "a")
    run_id = await engine.start("cancelled")
    await engine.worker.take_one()
    await engine.jetstream.delete_stream(subjects.ENDED_RUNS_STREAM)

    with pytest.raises(UnavailableError) as refused:
        await _cancel(engine, run_id)

    assert (refused.value.problem.type, refused.value.problem.status) == ("workers_not_told", 503)
    assert (await engine.read(run_id)).status is RunStatus.CANCELLED
    await make_topology(engine.nats_url)
    assert (await _cancel(engine, run_id)).status is RunStatus.CANCELLED
    assert await _is_told(engine, run_id)
    [row] = await engine.query("SELECT count(*) AS count FROM runs.audit WHERE run_id = %s", run_id)
    assert row["count"] == 1


@pytest.mark.parametrize("is_away", [False, True], ids=["here", "coordinator away"])
async def test_a_bucket_that_is_made_anew_is_told_of_the_runs_that_ended_before(
    nats_url: str, database_url: str, is_away: bool
) -> None:
    async with Engine.started(nats_url, database_url, has_coordinator=False) as engine:
        async with engine.coordinator():
            await engine.apply("ending", "ab")
            cancelled, failing, done = [await engine.start("ending") for _ in range(3)]
            works = {(work["run_id"], work["node_key"]): work for work in await engine.worker.take(6)}
            await engine.client.cancel(cancelled)
            await engine.worker.fail(works[str(failing), "a"])
            await engine.worker.say(*(completed(works[str(done), key]) for key in "ab"))
            await engine.ends(failing, RunStatus.FAILED)
            await engine.ends(done)
            if not is_away:
                await make_bucket_anew(engine)
        if is_away:
            await make_bucket_anew(engine)
        async with engine.coordinator():

            async def is_told() -> bool:
                info = await engine.jetstream.stream_info(
                    subjects.ENDED_RUNS_STREAM, subjects_filter=subjects.ALL_ENDED_RUNS
                )
                return {name.rsplit(".", 1)[1] for name in info.state.subjects or {}} == {str(cancelled), str(failing)}

            await eventually(is_told, "the two runs whose work may wait")


async def make_bucket_anew(engine: Engine) -> None:
    await engine.jetstream.delete_stream(subjects.ENDED_RUNS_STREAM)
    await make_topology(engine.nats_url)


async def test_retry_with_inputs_that_cannot_be_carried_now_is_sent_later(engine: Engine) -> None:
    node = {"config": {"say": "{{ input.text }}"}, "retry": {"max_attempts": 2, "initial_delay_s": 0}}
    await engine.apply("large", "a", a=node)
    run_id = await engine.start("large", {"text": "x" * 700_000})
    first = await engine.worker.take_one()
    assert first["inputs_ref"]
    await engine.jetstream.delete_stream(subjects.TRANSFERS_STREAM)

    await engine.worker.fail(first, retryable=True)

    await eventually(lambda: _has_begun(engine, run_id, attempt=2), "the second attempt")
    await make_topology(engine.nats_url)
    second = await engine.worker.take_one(timeout_s=30)
    assert (second["attempt"], second["dispatch"]) == (2, 2)
    await engine.worker.complete(second)
    await engine.ends(run_id)


async def test_consumers_of_the_coordinators_are_made_anew(engine: Engine) -> None:
    await engine.apply("consumers", "a")

    await engine.jetstream.delete_consumer(subjects.NODE_RESULTS, subjects.NODE_RESULTS_DURABLE)
    await engine.jetstream.delete_consumer(subjects.RUN_REQUESTS, subjects.RUN_REQUESTS_DURABLE)

    run_id = await engine.client.request_run("consumers")
    await engine.worker.complete(await engine.worker.take_one())
    await engine.settled()
    await engine.ends(run_id)


async def test_message_with_more_outputs_than_fit_into_memory_is_settled_in_parts(engine: Engine) -> None:
    keys = "abcde"
    await engine.apply("heavy", keys)
    run_id = await engine.start("heavy")
    readies = await engine.worker.take(5)
    body = orjson.dumps({"text": "x" * 12_000_000})
    reference = {"object": "heavy", "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    store = await engine.jetstream.object_store(subjects.TRANSFERS_BUCKET)
    await store.put("heavy", body)
    by_reference = {"outcome": {"status": "completed", "output_ref": reference}}

    await engine.worker.say(*(completed(ready) | by_reference for ready in readies))

    await engine.settled()
    rows = await engine.query("SELECT node_key FROM runs.payloads WHERE run_id = %s", run_id)
    assert sorted(row["node_key"] for row in rows) == list(keys)
    [row] = await engine.query("SELECT status::text, event_seq FROM runs.pipeline_runs WHERE id = %s", run_id)
    assert row["status"] == "completed"
    assert row["event_seq"] > 2, "in one transaction"


@pytest.mark.parametrize("other", [{"attempt": 10**12}, {"node_key": "a\x00"}, {"started_at": "0001-01-01T00:00:00Z"}])
async def test_beat_that_nobody_can_keep_costs_no_other_its_lease(engine: Engine, other: dict[str, Any]) -> None:
    await engine.apply("beats", "a")
    await engine.start("beats")
    ready = await engine.worker.take_one()

    await engine.worker.beat(ready | other, ready)

    await eventually(lambda: _is_leased(engine), "the lease")


async def test_worker_of_another_type_keeps_no_attempt_alive(engine: Engine) -> None:
    await engine.apply("beats", "ab")
    await engine.start("beats")
    first, second = await engine.worker.take(2)
    thief = type(engine.worker)(engine.client.nats, "other")

    await thief.beat(first)
    await engine.worker.beat(second)

    await eventually(lambda: _is_leased(engine), "the lease")
    leased = await engine.query("SELECT node_key FROM runs.node_results WHERE lease_until IS NOT NULL")
    assert leased == [{"node_key": "b"}]


async def _cancel(engine: Engine, run_id: UUID) -> Run:
    rpc = Rpc(engine.client.nats, Transfers(engine.jetstream))
    return await rpc.call(subjects.RUNS_CANCEL, RunCancel(run_id=run_id), Run)


async def _is_told(engine: Engine, run_id: UUID) -> bool:
    message = await engine.jetstream.get_last_msg(
        subjects.ENDED_RUNS_STREAM, f"$KV.{subjects.ENDED_RUNS_BUCKET}.{run_id}"
    )
    return message.data in (b"failed", b"cancelled")


async def _is_leased(engine: Engine) -> bool:
    return bool(await engine.query("SELECT 1 FROM runs.node_results WHERE lease_until IS NOT NULL"))


async def _has_begun(engine: Engine, run_id: UUID, attempt: int) -> bool:
    rows = await engine.query(
        "SELECT 1 FROM runs.node_results WHERE run_id = %s AND attempt = %s AND status = 'running'", run_id, attempt
    )
    return bool(rows)
