"""`doctor`: every thing that is wrong with an installation is found, and told with what to do."""

from __future__ import annotations

from pathlib import Path

import psycopg
from nats.js.api import ConsumerConfig

from services.cli.doctor import Finding, examine
from shared.contracts import subjects
from tests.eventually import eventually
from tests.integration.engine import Engine
from tests.ports import free_port


async def findings(nats_url: str, database_url: str, folder: Path) -> dict[str, Finding]:
    return {found.check: found for found in await examine(nats_url, database_url, folder)}


async def test_postgres_that_is_away_is_found_and_all_else_is_examined(engine: Engine, tmp_path: Path) -> None:
    nobody = f"postgresql://pipewright@127.0.0.1:{free_port()}/pipewright"

    found = await findings(engine.nats_url, nobody, tmp_path)

    assert not found["Postgres"].is_good
    assert "Start it, or correct its address" in found["Postgres"].detail
    assert found["NATS"].is_good
    assert found["coordinator"].is_good


async def test_nats_that_is_away_is_found_and_all_else_is_examined(database_url: str, tmp_path: Path) -> None:
    port = free_port()

    found = await findings(f"nats://me:hidden@127.0.0.1:{port}", database_url, tmp_path)

    assert not found["NATS"].is_good
    assert f"127.0.0.1:{port}: connection refused. Is it running" in found["NATS"].detail
    assert "hidden" not in found["NATS"].detail
    assert found["Postgres"].is_good
    assert found["disk"].is_good


async def test_missing_migration_is_named(nats_url: str, database_url: str, tmp_path: Path) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("DELETE FROM runs.migrations WHERE name = '0002_retention.sql'")

    found = (await findings(nats_url, database_url, tmp_path))["Postgres"]

    assert (found.is_good, found.detail) == (
        False,
        "migrations are missing: runs/0002_retention.sql. Run 'pipewright migrate'.",
    )


async def test_services_that_do_not_answer_are_found(nats_url: str, database_url: str, tmp_path: Path) -> None:
    found = await findings(nats_url, database_url, tmp_path)

    for service in ("coordinator", "definition"):
        assert not found[service].is_good
        assert f"Start it with 'pipewright serve {service}'" in found[service].detail


async def test_built_in_type_without_a_worker_is_found(engine: Engine, tmp_path: Path) -> None:
    found = await findings(engine.nats_url, engine.database_url, tmp_path)

    assert found["type step"] == Finding("type step", True, "1 worker, 50 slots")
    assert (found["type llm"].is_good, found["type llm"].detail) == (
        False,
        "no worker serves it. Start one with 'pipewright serve worker --types llm'.",
    )


async def test_missing_stream_and_changed_consumer_are_found(engine: Engine, tmp_path: Path) -> None:
    await engine.jetstream.delete_stream(subjects.DEAD_LETTERS)
    info = await engine.jetstream.consumer_info(subjects.NODE_RESULTS, subjects.NODE_RESULTS_DURABLE)
    await engine.jetstream.add_consumer(subjects.NODE_RESULTS, _with_other_wait(info.config))

    found = (await findings(engine.nats_url, engine.database_url, tmp_path))["NATS"]

    assert (found.is_good, found.detail) == (
        False,
        "stream DEAD_LETTERS is missing; consumer NODE_RESULTS/coordinator differs in ack_wait. "
        "Run 'pipewright topology'.",
    )


async def test_changed_consumer_of_a_node_type_is_found_until_the_type_is_announced_again(
    engine: Engine, tmp_path: Path
) -> None:
    info = await engine.jetstream.consumer_info(subjects.NODE_WORK, "step")
    await engine.jetstream.add_consumer(subjects.NODE_WORK, _with_other_wait(info.config))

    found = (await findings(engine.nats_url, engine.database_url, tmp_path))["type step"]

    assert not found.is_good
    assert found.detail.startswith(
        "consumer NODE_WORK/step differs in ack_wait. The definition service puts that right"
    )
    await engine.worker.announce()

    async def is_good() -> bool:
        return (await findings(engine.nats_url, engine.database_url, tmp_path))["type step"].is_good

    await eventually(is_good, "the consumer as it should be")


async def test_deleted_consumer_of_a_node_type_is_found(engine: Engine, tmp_path: Path) -> None:
    await engine.jetstream.delete_consumer(subjects.NODE_WORK, "step")

    found = (await findings(engine.nats_url, engine.database_url, tmp_path))["type step"]

    assert not found.is_good
    assert "consumer NODE_WORK/step is missing" in found.detail


def _with_other_wait(config: ConsumerConfig) -> ConsumerConfig:
    config.ack_wait = 77.0
    return config
