"""Messages that no client of ours sends: whoever hears them goes on hearing, and what can be read of them counts."""

from __future__ import annotations

import orjson
import pytest
from nats.js.errors import NotFoundError

from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.runs import Parked
from tests.eventually import eventually
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


async def test_what_cannot_be_read_is_parked_with_its_place(engine: Engine) -> None:
    body = orjson.dumps({"pipeline": "odd", "input": "my s3cret"})

    await engine.jetstream.publish(subjects.RUN_REQUEST, body)

    parked = await eventually(lambda: _parked(engine), "the dead letter")
    assert parked.reason == "/input: Input should be a valid dictionary"
    assert parked.body == body.decode()


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


async def _parked(engine: Engine) -> Parked | None:
    try:
        found = await engine.jetstream.get_last_msg(subjects.DEAD_LETTERS, subjects.dead_letter("run_request"))
    except NotFoundError:
        return None
    return Parked.model_validate_json(found.data or b"")


async def _runs(engine: Engine) -> None:
    run_id = await engine.start("odd")
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)
