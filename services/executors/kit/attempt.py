"""One attempt: render, validate, execute, within its time; every way it can end is an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import nats.errors
import nats.js.errors
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.executors.kit.child import RenderPool
from services.executors.kit.errors import NodeError, PermanentNodeError, TransientNodeError
from services.executors.kit.last_moment import asking
from services.executors.kit.metrics import NodeMetrics
from services.executors.kit.node_type import NodeContext, NodeType
from services.executors.kit.outcomes import Outcome, failed, internal_error, timed_out
from services.executors.kit.outputs import encode_metadata, encode_output
from services.executors.kit.traces import attempting, tell_failure
from shared.bus.transfers import TransferError, Transfers
from shared.clock import Clock
from shared.contracts.message import RunIdText, TransferRef
from shared.contracts.nodes import NodeInputs, NodeReady
from shared.errors import findings_of
from shared.logging import get_logger
from shared.storable import INLINE_LIMIT
from shared.templates.config import CompiledConfig, ConfigProblems, compile_cached
from shared.templates.render import TemplateRenderError
from shared.templates.scope import Scope

log = get_logger(__name__)

#: An output that `transfers` did not take is put there again after each of these, since the work is done.
KEEP_AGAIN_S = (0.5, 1.0, 2.0, 4.0)
_NOT_KEPT = (nats.errors.Error, nats.js.errors.Error, TimeoutError)

EmitTokens = Callable[[str], None]
#: False for a run that has ended.
MayBegin = Callable[[str], Awaitable[bool]]


class Prepared(NamedTuple):
    """Work that was read, with its templates parsed."""

    ready: NodeReady
    config: CompiledConfig
    scope: Scope


class Identity(BaseModel):
    """What a result names of its work, however unreadable the rest is."""

    model_config = ConfigDict(frozen=True)

    run_id: RunIdText
    node_key: str
    attempt: int = Field(ge=1)
    token: str


class Attempts:
    """Runs the attempts of one node type and writes their results (see contracts.nodes.NodeResult) as JSON."""

    def __init__(
        self,
        node_type: NodeType,
        renderers: RenderPool,
        transfers: Transfers,
        clock: Clock,
        emit_tokens: Callable[[NodeReady], EmitTokens] | None,
    ) -> None:
        self._type = node_type
        self._renderers = renderers
        self._transfers = transfers
        self._clock = clock
        self._emit_tokens = emit_tokens
        self.metrics = NodeMetrics(node_type.name)

    async def prepare(self, ready: NodeReady) -> Prepared:
        """Fetch large inputs and parse the templates; raises NodeError."""
        inputs = ready.inputs
        if inputs is None and ready.inputs_ref is not None:
            try:
                inputs = NodeInputs.model_validate_json(await self._transfers.get(ready.inputs_ref))
            except TransferError as error:
                raise TransientNodeError("inputs_lost", f"The inputs could not be read: {error}") from error
            except ValidationError as error:
                message = f"The inputs are not what a worker can read: {findings_of(error)}."
                raise PermanentNodeError("unreadable_work", message) from error
        try:
            config = compile_cached(ready.config, self._type.config_schema)
        except ConfigProblems as error:
            raise PermanentNodeError("template_error", str(error)) from error
        scope = Scope(inputs or NodeInputs(), ready.run_id, ready.run_started_at)
        return Prepared(ready, config, scope)

    async def run(self, prepared: Prepared, may_begin: MayBegin) -> bytes | None:
        """Execute within `timeout_s`; returns the result as JSON, whatever happens. None when it may not begin, which
        is asked at the last moment, and again before a request leaves: this process may have been frozen since it took
        the work."""
        is_wanted = partial(may_begin, prepared.ready.run_id)
        if not await is_wanted():
            return None
        with attempting(prepared.ready), asking(is_wanted):
            return await self._run(prepared)

    async def _run(self, prepared: Prepared) -> bytes:
        started_at = self._clock.now()
        context = self._context(prepared.ready)
        try:
            async with asyncio.timeout(prepared.ready.timeout_s):
                outcome = await self._outcome(prepared, context)
        except TimeoutError:
            outcome = timed_out(prepared.ready.timeout_s)
        return self.result(prepared.ready, outcome, started_at, context.metadata)

    async def run_fast(self, prepared: Prepared) -> bytes:
        """As `run`, for what neither waits nor renders in a child: no timer is needed."""
        with attempting(prepared.ready):
            started_at = self._clock.now()
            context = self._context(prepared.ready)
            outcome = await self._outcome(prepared, context)
            return self.result(prepared.ready, outcome, started_at, context.metadata)

    async def _outcome(self, prepared: Prepared, context: NodeContext) -> Outcome:
        try:
            return await self._complete(prepared, context)
        except NodeError as error:
            return failed(error)
        except TimeoutError:
            return timed_out(prepared.ready.timeout_s)
        except Exception:
            log.exception(
                "a node type raised what it should not",
                run_id=context.run_id,
                node_key=context.node_key,
                node_type=self._type.name,
            )
            return internal_error(self._type.name)

    async def _complete(self, prepared: Prepared, context: NodeContext) -> Outcome:
        rendered = await self._render(prepared)
        try:
            config = self._type.config_model.model_validate(rendered)
        except ValidationError as error:
            raise PermanentNodeError("invalid_config", _words(error)) from error
        body = encode_output(await self._type.execute(config, context))
        if len(body) <= INLINE_LIMIT:
            return {"status": "completed", "output": orjson.Fragment(body)}
        reference = await self._keep(body)
        return {"status": "completed", "output_ref": reference.model_dump()}

    async def _keep(self, body: bytes) -> TransferRef:
        """Tried in place for some seconds; then the attempt is tried again as a whole."""
        for wait_s in KEEP_AGAIN_S:
            with suppress(*_NOT_KEPT):
                return await self._transfers.put(body)
            await asyncio.sleep(wait_s)
        try:
            return await self._transfers.put(body)
        except _NOT_KEPT as error:
            message = f"The output of {len(body)} bytes could not be put into the bucket 'transfers'. Is NATS well?"
            raise TransientNodeError("output_not_kept", message) from error

    async def _render(self, prepared: Prepared) -> dict[str, Any]:
        try:
            if prepared.config.needs_child:
                return await self._renderers.render(prepared.ready.config, self._type.config_schema, prepared.scope)
            return prepared.config.render(prepared.scope)
        except TemplateRenderError as error:
            raise PermanentNodeError(error.code, str(error)) from error

    def _context(self, ready: NodeReady) -> NodeContext:
        return NodeContext(
            run_id=ready.run_id,
            node_key=ready.node_key,
            attempt=ready.attempt,
            emit_tokens=self._emit_tokens(ready) if self._emit_tokens is not None else None,
        )

    def result(
        self, ready: NodeReady | Identity, outcome: Outcome, started_at: datetime, metadata: dict[str, Any]
    ) -> bytes:
        finished_at = self._clock.now()
        tell_failure(outcome)
        self.metrics.done(outcome.get("outcome", "completed"), (finished_at - started_at).total_seconds())
        result: dict[str, Any] = {
            "run_id": ready.run_id,
            "node_key": ready.node_key,
            "attempt": ready.attempt,
            "token": ready.token,
            "outcome": outcome,
            "started_at": started_at,
            "finished_at": finished_at,
        }
        if metadata:
            result["metadata"] = orjson.Fragment(encode_metadata(metadata))
        return orjson.dumps(result)


def _words(error: ValidationError) -> str:
    return f"The config is not valid after rendering: {findings_of(error)}. Correct the template or its input."
