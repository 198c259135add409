"""Reads what executors say: each result by itself, its token checked, the unreadable parked."""

from __future__ import annotations

from typing import Any

import orjson
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pydantic import TypeAdapter, ValidationError

from services.coordinator.state import Outcome, RunId
from services.coordinator.tokens import Tokens
from shared.bus.dead_letters import park
from shared.bus.pull import delivery_of
from shared.bus.transfers import TransferError, Transfers
from shared.contracts.nodes import Completed, Failed, NodeResult, NodesFinished
from shared.contracts.states import AttemptOutcome
from shared.logging import get_logger
from shared.storable import TOO_DEEP, is_too_deep

log = get_logger(__name__)

RESULT = TypeAdapter(NodeResult)

#: What fits into a row; more goes to `runs.payloads`.
INLINE_LIMIT = 256 * 1024
#: The most that an output may have.
OUTPUT_LIMIT = 16 * 1024 * 1024


class ResultReader:
    """Turns messages into outcomes; counts what it refuses."""

    def __init__(self, jetstream: JetStreamContext, transfers: Transfers, tokens: Tokens) -> None:
        self._jetstream = jetstream
        self._transfers = transfers
        self._tokens = tokens
        self.forged = 0

    async def read(self, message: Msg) -> list[Outcome]:
        try:
            finished = NodesFinished.model_validate(orjson.loads(message.data))
        except (orjson.JSONDecodeError, ValidationError) as error:
            await park(self._jetstream, "node_result", message.subject, str(error), message.data)
            return []
        node_type = message.subject.rsplit(".", 1)[1]
        is_redelivered = delivery_of(message).times > 1
        outcomes = []
        for item in finished.results:
            outcome = await self._read_one(item, node_type, finished.worker, message.subject)
            if outcome is not None:
                outcome.is_redelivered = is_redelivered
                outcomes.append(outcome)
        return outcomes

    async def _read_one(self, item: Any, node_type: str, worker: str, subject: str) -> Outcome | None:
        try:
            result = RESULT.validate_python(item)
        except ValidationError as error:
            text = b"" if is_too_deep(item) else orjson.dumps(item)
            await park(self._jetstream, "node_result", subject, str(error), text)
            return None
        run_id = result.run_id
        if not self._tokens.is_valid(result.token, run_id, result.node_key, result.attempt):
            self.forged += 1
            log.warning(
                "a result with a wrong token was dropped",
                run_id=run_id,
                node_key=result.node_key,
                node_type=node_type,
                worker=worker,
            )
            return None
        return await self._outcome(run_id, result, node_type, worker)

    async def _outcome(self, run_id: RunId, result: NodeResult, node_type: str, worker: str) -> Outcome:
        outcome = Outcome(
            run_id=run_id,
            node_key=result.node_key,
            attempt=result.attempt,
            outcome=AttemptOutcome.COMPLETED,
            worker=worker,
            node_type=node_type,
            started_at=result.started_at,
            finished_at=result.finished_at,
            metadata=result.metadata,
        )
        match result.outcome:
            case Completed():
                await self._add_output(outcome, result.outcome)
            case Failed() as failed:
                fail(outcome, failed)
        refuse_depth(outcome)
        return outcome

    async def _add_output(self, outcome: Outcome, completed: Completed) -> None:
        if completed.output_ref is None:
            outcome.output = completed.output or {}
            # An inline output is bounded by the message; most are far below the limit of a row.
            return
        if completed.output_ref.size > OUTPUT_LIMIT:
            fail(outcome, too_large(completed.output_ref.size))
            return
        try:
            body = await self._transfers.get(completed.output_ref)
            outcome.output = orjson.loads(body)
        except (TransferError, orjson.JSONDecodeError) as error:
            problem = {
                "code": "output_lost",
                "message": f"The output could not be read: {error}. It is tried again.",
            }
            fail(outcome, Failed.model_validate({"error": problem, "retryable": True}))
            return
        if len(body) > INLINE_LIMIT:
            outcome.payload = body.decode()


def too_large(size: int) -> Failed:
    message = (
        f"The output has {size} bytes; at most {OUTPUT_LIMIT} can be kept. "
        "Let the node give less, for example by a filter of the other side."
    )
    return Failed.model_validate({"error": {"code": "output_too_large", "message": message}, "retryable": False})


def refuse_depth(outcome: Outcome) -> None:
    """What nobody could write again would stop whoever tries, and be delivered for ever."""
    if is_too_deep(outcome.metadata):
        outcome.metadata = {}
    if is_too_deep(outcome.output):
        outcome.output, outcome.payload = None, None
        problem = {
            "code": "unstorable_output",
            "message": f"The output has {TOO_DEEP}. Let the node give a flatter one.",
        }
        fail(outcome, Failed.model_validate({"error": problem, "retryable": False}))


def fail(outcome: Outcome, failed: Failed) -> None:
    outcome.outcome = AttemptOutcome(failed.outcome)
    outcome.error = failed.error.model_dump(exclude_none=True)
    outcome.retryable = failed.retryable
    outcome.retry_after_s = failed.retry_after_s
