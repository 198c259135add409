"""The node types that come with Pipewright; each is imported only by the worker that serves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module

from services.executors.kit.node_type import NodeType
from services.executors.settings import ExecutorSettings
from shared.contracts import subjects
from shared.settings import SettingsError

BUILT_IN = ("text", "http_request", "llm", "condition", "transform")
#: Type -> internal types that its workers serve beside it: work of the coordinators' own.
BESIDE: Mapping[str, tuple[str, ...]] = {"http_request": (subjects.WEBHOOK,)}
INTERNAL = frozenset(name for names in BESIDE.values() for name in names)


class UnknownTypeError(SettingsError):
    """A worker was asked to serve a type that does not come with Pipewright."""


def with_internal(names: Iterable[str]) -> list[str]:
    """These types, and the internal ones beside them."""
    return list(dict.fromkeys(served for name in names for served in (name, *BESIDE.get(name, ()))))


def make_node_types(names: Sequence[str], settings: ExecutorSettings) -> list[NodeType]:
    unknown = sorted(set(names) - INTERNAL.union(BUILT_IN))
    if unknown:
        raise UnknownTypeError(f"There is no node type {', '.join(unknown)}. Known are: {', '.join(BUILT_IN)}.")
    return [import_module(f"services.executors.{name}.node").make(settings) for name in names]
