"""Reads what executors say: each result by itself, its token checked, the unreadable parked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pydantic import TypeAdapter, ValidationError

from services.coordinator.metrics import RESULTS_FORGED, node_type_label
from services.coordinator.state import Outcome
from services.coordinator.tokens import Tokens
from shared.bus.dead_letters import park
from shared.bus.pull import delivery_of
from shared.bus.transfers import TransferError, Transfers
from shared.contracts.message import TransferRef
from shared.contracts.nodes import Completed, Failed, NodeResult, NodesFinished
from shared.contracts.states import AttemptOutcome
from shared.errors import words_of
from shared.logging import get_logger
from shared.storable import INLINE_LIMIT, OUTPUT_LIMIT, fault_of, may_be_unstorable

log = get_logger(__name__)

RESULT = TypeAdapter(NodeResult)

#: Outputs of one message that are read together; it may refer to hundreds of large ones.
PART_BYTES = 16 * 1024 * 1024
#: The code of a result that cannot be kept.
UNSTORABLE = "unstorable_output"
#: No other side is waited for longer.
RETRY_AFTER_LIMIT_S = 24 * 3600.0
#: As much of a worker's name as is kept.
WORKER_SHOWN = 200


class Part(NamedTuple):
    """What stands in a message, or a part of it; `size` is about the bytes of its outputs."""

    outcomes: list[Outcome]
    size: int
    is_last: bool


class ResultReader:
    """Turns messages into outcomes; counts what it refuses."""

    def __init__(self, jetstream: JetStreamContext, transfers: Transfers, tokens: Tokens) -> None:
        self._jetstream = jetstream
        self._transfers = transfers
        self._tokens = tokens

    async def read(self, message: Msg) -> AsyncIterator[Part]:
        """All that stands in it, in one part unless its outputs are large."""
        try:
            finished = NodesFinished.model_validate(orjson.loads(message.data))
        except (orjson.JSONDecodeError, ValidationError) as error:
            await self.park(message, words_of(error))
            yield Part([], 0, True)
            return
        node_type = message.subject.rsplit(".", 1)[1]
        is_redelivered = delivery_of(message).times > 1
        worker = _storable_text(finished.worker)[:WORKER_SHOWN]
        # Each of the others has two: its own, and that of its outcome.
        beside = 2 * (sum(_has_outcome(item) for item in finished.results) - 1)
        is_suspect = may_be_unstorable(message.data, beside) and fault_of(finished.results) is not None
        outcomes: list[Outcome] = []
        size = len(message.data)
        for item in finished.results:
            if size > PART_BYTES:
                yield Part(outcomes, size, False)
                outcomes, size = [], 0
            try:
                result = RESULT.validate_python(item)
            except ValidationError as error:
                await park(self._jetstream, "node_result", message.subject, words_of(error), _json_of(item))
                continue
            if not self._is_genuine(result, node_type, worker):
                continue
            outcome = _outcome(result, node_type, worker)
            outcome.is_redelivered = is_redelivered
            if isinstance(result.outcome, Completed) and result.outcome.output_ref is not None:
                await self._fetch_output(outcome, result.outcome.output_ref)
            if is_suspect:
                make_storable(outcome)
            outcomes.append(outcome)
            if outcome.payload is not None:
                size += len(outcome.payload)
        yield Part(outcomes, size, True)

    async def park(self, message: Msg, reason: str) -> None:
        await park(self._jetstream, "node_result", message.subject, reason, message.data)

    def _is_genuine(self, result: NodeResult, node_type: str, worker: str) -> bool:
        if self._tokens.is_valid(result.token, result.run_id, result.node_key, result.attempt):
            return True
        RESULTS_FORGED.labels(node_type_label(node_type)).inc()
        log.warning(
            "a result with a wrong token was dropped",
            run_id=result.run_id,
            node_key=result.node_key,
            node_type=node_type,
            worker=worker,
        )
        return False

    async def _fetch_output(self, outcome: Outcome, reference: TransferRef) -> None:
        if reference.size > OUTPUT_LIMIT:
            fail(outcome, too_large(reference.size))
            return
        try:
            body = await self._transfers.get(reference)
            output = orjson.loads(body)
        except (TransferError, orjson.JSONDecodeError) as error:
            problem = {
                "code": "output_lost",
                "message": f"The output could not be read: {error}. It is tried again.",
            }
            fail(outcome, Failed.model_validate({"error": problem, "retryable": True}))
            return
        if not isinstance(output, dict):
            fail(outcome, unstorable("something that is no object"))
        elif len(body) > OUTPUT_LIMIT:
            fail(outcome, too_large(len(body)))
        else:
            outcome.output = output
            outcome.payload = body.decode() if len(body) > INLINE_LIMIT else None
            if may_be_unstorable(body):
                make_storable(outcome)


def _outcome(result: NodeResult, node_type: str, worker: str) -> Outcome:
    """Without an output that lies elsewhere. One inside is bounded by its message; most are far below what fits into
    a row."""
    outcome = Outcome(
        run_id=result.run_id,
        node_key=result.node_key,
        attempt=result.attempt,
        outcome=AttemptOutcome.COMPLETED,
        worker=worker,
        node_type=node_type,
        started_at=plausible(result.started_at),
        finished_at=plausible(result.finished_at),
        metadata=result.metadata,
    )
    if isinstance(result.outcome, Failed):
        fail(outcome, result.outcome)
    elif result.outcome.output_ref is None:
        outcome.output = result.outcome.output or {}
    return outcome


def too_large(size: int) -> Failed:
    message = (
        f"The output has {size} bytes; at most {OUTPUT_LIMIT} can be kept. "
        "Let the node give less, for example by a filter of the other side."
    )
    return Failed.model_validate({"error": {"code": "output_too_large", "message": message}, "retryable": False})


def unstorable(what: str) -> Failed:
    message = f"The output holds {what}, which cannot be stored. Take it out."
    return Failed.model_validate({"error": {"code": UNSTORABLE, "message": message}, "retryable": False})


def make_storable(outcome: Outcome) -> None:
    """Whatever its worker said: an output that cannot be kept fails its attempt, such figures are left out."""
    if fault_of(outcome.metadata) is not None:
        outcome.metadata = {}
    if outcome.output is not None and (problem := fault_of(outcome.output)) is not None:
        fail(outcome, unstorable(problem))


def strip(outcome: Outcome, reason: str) -> None:
    """Leave of it no more than that it failed: nothing in this is the worker's."""
    message = f"Postgres cannot store the result: {reason}. Give plain JSON without U+0000."
    outcome.worker, outcome.metadata, outcome.started_at, outcome.finished_at = None, {}, None, None
    fail(outcome, Failed.model_validate({"error": {"code": UNSTORABLE, "message": message}, "retryable": False}))


def fail(outcome: Outcome, failed: Failed) -> None:
    """Texts of other sides are shown without U+0000, which Postgres cannot store."""
    error = failed.error.model_dump(exclude_none=True)
    outcome.outcome = AttemptOutcome(failed.outcome)
    outcome.output = outcome.payload = None
    outcome.error = {name: _storable_text(text) for name, text in error.items()}
    outcome.retryable = failed.retryable
    # In this order, so that what is not a number becomes 0.
    outcome.retry_after_s = min(max(0.0, failed.retry_after_s or 0.0), RETRY_AFTER_LIMIT_S)


def _storable_text(text: str) -> str:
    return text.replace("\x00", "") if "\x00" in text else text


def plausible(time: datetime) -> datetime | None:
    """None for a time that Postgres or Python could not give back."""
    return time if 1970 <= time.year < 9999 else None


def _has_outcome(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("outcome"), dict)


def _json_of(item: Any) -> bytes:
    try:
        return orjson.dumps(item)
    except TypeError:
        return b"(too many lists and objects inside each other)"
