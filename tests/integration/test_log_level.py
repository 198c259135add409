"""SIGUSR1 makes a running service tell everything, and a second one sets it back; shown with real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.integration.engine import SECRET, Engine
from tests.integration.processes import serving
from tests.ports import free_port

RAISED, SET_BACK, TAKEN = "log level is raised by a signal", "log level is set back", "work was taken"


@pytest.mark.parametrize("service", ["gateway", "definition", "coordinator"])
async def test_each_signal_changes_the_level_and_ends_nothing(
    nats_url: str, database_url: str, tmp_path: Path, service: str
) -> None:
    settings = {
        "PIPEWRIGHT_NATS_URL": nats_url,
        "PIPEWRIGHT_DATABASE_URL": database_url,
        "PIPEWRIGHT_SECRET": SECRET,
        "PIPEWRIGHT_PORT": str(free_port()),
        "PIPEWRIGHT_LOG_LEVEL": "INFO",
    }
    async with serving(tmp_path, service, **settings) as started:
        await started.tells("connecting to NATS")
        for times in (1, 2):
            started.signal()
            await started.tells(RAISED, times)
            started.signal()
            await started.tells(SET_BACK, times)
        assert started.process.returncode is None


async def test_while_it_is_raised_each_piece_of_work_is_told(engine: Engine, tmp_path: Path) -> None:
    node = {"key": "a", "type": "text", "config": {"content": "{{ input.secret }}"}}
    settings = {"PIPEWRIGHT_NATS_URL": engine.nats_url, "PIPEWRIGHT_LOG_LEVEL": "WARNING"}
    async with serving(tmp_path, "worker", "--types", "text", **settings) as worker:
        await eventually(lambda: is_online(engine), "the type")
        await engine.client.apply({"name": "words", "slug": "words", "nodes": [node]})
        quiet = await engine.start("words", {"secret": "s3cret"})
        await engine.ends(quiet)

        worker.signal()
        await worker.tells(RAISED)
        told = await engine.start("words", {"secret": "s3cret"})
        await engine.ends(told)
        await worker.tells(TAKEN)

        worker.signal()
        await worker.tells(SET_BACK)
        again = await engine.start("words", {"secret": "s3cret"})
        await engine.ends(again)

    assert [(line["run_id"], line["node_key"], line["level"]) for line in worker.lines(TAKEN)] == [
        (str(told), "a", "debug")
    ]
    assert "s3cret" not in worker.path.read_text()


async def is_online(engine: Engine) -> bool:
    return any(kind.node_type == "text" and kind.is_online for kind in await engine.client.node_types())
