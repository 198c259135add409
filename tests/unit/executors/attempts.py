"""Attempts as a worker runs them, without the bus: work in, result out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import nats
import orjson

from services.executors.kit.attempt import Attempts
from services.executors.kit.child import RenderPool
from services.executors.kit.errors import NodeError
from services.executors.kit.node_config import NodeConfig
from services.executors.kit.node_type import NodeContext, NodeType
from services.executors.kit.outcomes import failed
from shared.bus.transfers import Transfers
from shared.contracts.nodes import NodeInputs, NodeReady, NodeResult

NOW = datetime(2025, 3, 1, 12, 30, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return NOW


class AnyConfig(NodeConfig):
    text: str = ""
    value: Any = None


def type_that(execute: Callable[[Any, NodeContext], Awaitable[dict[str, Any]]]) -> NodeType:
    return NodeType(name="tried", title="", description="", config_model=AnyConfig, execute=execute)


def ready(config: dict[str, Any], inputs: dict[str, Any] | None = None, timeout_s: float = 60) -> NodeReady:
    return NodeReady(
        run_id="01890a5d-ac96-774b-bcce-b302099a8057",
        node_key="n",
        node_type="tried",
        attempt=2,
        dispatch=1,
        token="t",
        config=config,
        inputs=NodeInputs.model_validate(inputs or {}),
        run_started_at=NOW,
        timeout_s=timeout_s,
    )


async def always(run_id: str) -> bool:
    return True


def attempts_of(node_type: NodeType, renderers: RenderPool) -> Attempts:
    """Small bodies do not travel through the object store, so that no server is needed."""
    return Attempts(node_type, renderers, Transfers(nats.NATS().jetstream()), FixedClock(), None)


async def outcome_of(node_type: NodeType, work: NodeReady, renderers: RenderPool) -> dict[str, Any]:
    """The result's outcome, as it would be sent."""
    attempts = attempts_of(node_type, renderers)
    try:
        prepared = await attempts.prepare(work)
    except NodeError as error:
        return failed(error)
    written = await attempts.run(prepared, always)
    assert written is not None
    body = orjson.loads(written)
    NodeResult.model_validate(body)
    found: dict[str, Any] = body["outcome"]
    return found


@asynccontextmanager
async def rendering() -> AsyncIterator[RenderPool]:
    pool = RenderPool(1)
    try:
        yield pool
    finally:
        await pool.close()
