"""Every attempt is kept: those that another one followed as rows of their own, the last one in its node result."""

from __future__ import annotations

from services.cli.setup import migrate_all
from shared.contracts.runs import NodeResultView
from shared.contracts.states import AttemptOutcome, RunStatus
from tests.integration.engine import Engine
from tests.integration.hand_worker import completed, failed

QUICK_RETRY = {"max_attempts": 3, "initial_delay_s": 0.001}


async def tried_thrice(engine: Engine) -> NodeResultView:
    """A node that two workers failed and a third one did."""
    await engine.apply("thrice", "a", a={"retry": QUICK_RETRY})
    run_id = await engine.start("thrice")
    for number, result in enumerate((failed, failed, completed), start=1):
        ready = await engine.worker.take_one()
        more = {"retryable": True} if result is failed else {}
        await engine.worker.say(result(ready, **more) | {"metadata": {"tokens": number}}, worker=f"worker-{number}")
        await engine.worker.acknowledge(ready)
    [node] = (await engine.ends(run_id)).node_results or []
    return node


async def test_each_attempt_has_its_own_worker_figures_and_error(engine: Engine) -> None:
    node = await tried_thrice(engine)

    assert [(one.attempt, one.outcome, one.worker, one.metadata) for one in node.attempts] == [
        (1, AttemptOutcome.FAILED, "worker-1", {"tokens": 1}),
        (2, AttemptOutcome.FAILED, "worker-2", {"tokens": 2}),
        (3, AttemptOutcome.COMPLETED, "worker-3", {"tokens": 3}),
    ]
    assert [one.error is not None for one in node.attempts] == [True, True, False]
    assert all(one.started_at is not None and one.finished_at is not None for one in node.attempts)
    assert (node.metadata["worker"], node.metadata["tokens"], node.metadata["retry_count"]) == ("worker-3", 3, 2)
    assert [row["attempt"] for row in await engine.query("SELECT attempt FROM runs.attempts ORDER BY 1")] == [1, 2]


async def test_figures_of_an_attempt_are_not_those_of_the_one_before(engine: Engine) -> None:
    await engine.apply("plain", "a", a={"retry": QUICK_RETRY})
    run_id = await engine.start("plain")
    await engine.worker.fail(await engine.worker.take_one(), retryable=True)
    ready = await engine.worker.take_one()
    await engine.worker.say(completed(ready) | {"metadata": {}})
    await engine.worker.acknowledge(ready)

    [node] = (await engine.ends(run_id)).node_results or []

    assert [one.metadata for one in node.attempts] == [{"tokens": 3}, {}]
    assert "tokens" not in node.metadata


async def test_attempts_of_the_version_before_are_read_as_ever(engine: Engine) -> None:
    """It wrote each into its own row, and goes on to do so beside this one."""
    node = await tried_thrice(engine)
    await engine.query("INSERT INTO runs.attempts SELECT * FROM runs.all_attempts ON CONFLICT DO NOTHING")
    for statement in (
        "DROP VIEW runs.all_attempts",
        "ALTER TABLE runs.node_results DROP COLUMN outcome, DROP COLUMN worker",
        "DELETE FROM runs.migrations WHERE name = '0007_last_attempts.sql'",
    ):
        await engine.query(statement)
    await migrate_all(engine.database_url)

    [run] = await engine.query("SELECT id FROM runs.pipeline_runs")
    async with engine.coordinator():
        [read] = (await engine.read(run["id"])).node_results or []
    assert read == node


async def test_a_run_that_fails_leaves_one_attempt_for_each_node_that_was_tried(engine: Engine) -> None:
    await engine.apply("beside", "abc", [("a", "c")])
    run_id = await engine.start("beside")
    first, second = await engine.worker.take(2)
    await engine.worker.fail(first if first["node_key"] == "a" else second)

    await engine.ends(run_id, RunStatus.FAILED)

    rows = await engine.query("SELECT node_key, outcome::text AS outcome FROM runs.all_attempts ORDER BY node_key")
    assert rows == [{"node_key": "a", "outcome": "failed"}, {"node_key": "b", "outcome": "cancelled"}]
