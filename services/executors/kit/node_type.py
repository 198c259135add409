"""What a node type is: a name, what it may be told, and what it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from services.executors.kit.node_config import NodeConfig
from shared.contracts.nodes import NodeTypeAnnounced


@dataclass(slots=True)
class NodeContext:
    """What a type may know of the attempt that it runs."""

    run_id: str
    node_key: str
    attempt: int
    #: Passes on a piece of text as it comes; only for types that stream.
    emit_tokens: Callable[[str], None] | None = None
    #: Small figures for the node result: usage, status, bytes; never a secret.
    metadata: dict[str, Any] = field(default_factory=dict)


Execute = Callable[[Any, NodeContext], Awaitable[dict[str, Any]]]


async def _close_nothing() -> None:
    return


@dataclass(frozen=True)
class NodeType:
    """A node type. The kit consumes, renders, validates, times out and reports; `execute` does the work.

    `execute(config, context)` gets the config with all templates rendered, as `config_model`, and returns the
    output, a JSON object; it raises NodeError. It knows nothing of NATS or of other attempts.
    """

    name: str
    title: str
    description: str
    config_model: type[NodeConfig]
    execute: Execute
    #: Rises whenever the config's schema changes.
    schema_version: int = 1
    #: Pieces of work at the same time, unless a setting says otherwise.
    slots: int = 16
    #: True when `execute` never waits: such work is run in batches, one after another.
    is_fast: bool = False
    #: Streams text by `context.emit_tokens`.
    emits_tokens: bool = False
    default_timeout_s: float = 60.0
    output_schema: dict[str, Any] = field(default_factory=dict)
    #: See NodeTypeAnnounced.branches.
    branches: list[str] | str | None = None
    examples: list[dict[str, Any]] = field(default_factory=list)
    close: Callable[[], Awaitable[None]] = _close_nothing

    @property
    def config_schema(self) -> dict[str, Any]:
        """One object for each model, since parsed configs are kept by its identity."""
        return _schema_of(self.config_model)

    def announcement(self, worker: str, slots: int) -> NodeTypeAnnounced:
        return NodeTypeAnnounced(
            node_type=self.name,
            worker=worker,
            title=self.title,
            description=self.description,
            config_schema=self.config_schema,
            output_schema=self.output_schema,
            schema_version=self.schema_version,
            slots=slots,
            is_fast=self.is_fast,
            default_timeout_s=self.default_timeout_s,
            branches=self.branches,
            examples=self.examples,
        )


_schemas: dict[type[NodeConfig], dict[str, Any]] = {}


def _schema_of(model: type[NodeConfig]) -> dict[str, Any]:
    if model not in _schemas:
        _schemas[model] = model.model_json_schema()
    return _schemas[model]
