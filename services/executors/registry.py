"""The node types that come with Pipewright; each is imported only by the worker that serves it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from services.executors.kit.node_type import NodeType
from services.executors.settings import ExecutorSettings

BUILT_IN = ("text", "http_request", "llm", "condition", "transform")


class UnknownTypeError(ValueError):
    """A worker was asked to serve a type that does not come with Pipewright."""


def make_node_types(names: Sequence[str], settings: ExecutorSettings) -> list[NodeType]:
    unknown = sorted(set(names) - set(BUILT_IN))
    if unknown:
        raise UnknownTypeError(f"There is no node type {', '.join(unknown)}. Known are: {', '.join(BUILT_IN)}.")
    return [import_module(f"services.executors.{name}.node").make(settings) for name in names]
