"""Messages that no client of ours sends: whoever hears them goes on hearing, and what can be read of them counts."""

from __future__ import annotations

import orjson
import pytest

from shared.clock import new_id
from shared.contracts import subjects
from tests.integration.engine import Engine
from tests.raw_nats import ODD_HEADERS, publish_raw

#: And statuses as only a server says them, to whoever pulls.
HEADERS = [*ODD_HEADERS, b"NATS/1.0 404 No Messages\r\n\r\n", b"NATS/1.0 100 Idle Heartbeat\r\n\r\n"]


@pytest.mark.parametrize("headers", HEADERS)
async def test_a_request_of_the_stream_counts_whatever_its_headers_are(engine: Engine, headers: bytes) -> None:
    await engine.apply("odd", "a")
    run_id = new_id()
    body = orjson.dumps({"pipeline": "odd", "run_id": run_id})

    await publish_raw(engine.nats_url, subjects.RUN_REQUEST.encode(), body, headers=headers)

    work = await engine.worker.take_one()
    assert work["run_id"] == str(run_id)
    await engine.worker.complete(work)
    await engine.ends(run_id)


@pytest.mark.parametrize("headers", HEADERS)
async def test_a_request_with_odd_headers_costs_no_other_its_answer(engine: Engine, headers: bytes) -> None:
    await engine.apply("odd", "a")

    await publish_raw(engine.nats_url, subjects.RUNS_START.encode(), b"{}", headers=headers, reply=b"nobody")

    await _runs(engine)


@pytest.mark.parametrize(
    ("subject", "reply"),
    [(subjects.RUNS_START.encode(), b"\xff"), (subjects.ALL_NODE_RUNNING.removesuffix("*").encode() + b"\xff", b"")],
)
async def test_a_subject_that_is_no_text_costs_nobody_anything(engine: Engine, subject: bytes, reply: bytes) -> None:
    await engine.apply("odd", "a")

    await publish_raw(engine.nats_url, subject, b"{}", reply=reply)

    await _runs(engine)


async def _runs(engine: Engine) -> None:
    run_id = await engine.start("odd")
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)
