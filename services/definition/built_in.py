"""The names of the node types that come with Pipewright: nobody else may announce under them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.contracts.nodes import NodeTypeAnnounced


@dataclass(frozen=True)
class Shipped:
    """What this version of Pipewright ships under a name; a test holds it against the executors."""

    schema_version: int
    #: The fields of the config. Not the whole schema: versions of the library that writes it differ in wording.
    fields: frozenset[str]


def _shipped(schema_version: int, fields: str) -> Shipped:
    return Shipped(schema_version, frozenset(fields.split()))


BUILT_IN: Mapping[str, Shipped] = {
    "text": _shipped(1, "content"),
    "http_request": _shipped(1, "method url headers query body timeout_s"),
    "llm": _shipped(1, "provider model system prompt images temperature max_tokens"),
    "condition": _shipped(1, "expression cases"),
    "transform": _shipped(1, "expression"),
}


def reason_to_refuse(announced: NodeTypeAnnounced) -> str | None:
    """Why this is not the type that comes with Pipewright under its name; None when it is, or has a name of its own.

    A lower schema_version is that of a worker which is not upgraded yet.
    """
    shipped = BUILT_IN.get(announced.node_type)
    if shipped is None or announced.schema_version < shipped.schema_version:
        return None
    if announced.schema_version > shipped.schema_version:
        return (
            f"the name is that of a type that comes with Pipewright, whose schema_version is {shipped.schema_version} "
            f"here and not {announced.schema_version}. Choose another name, or upgrade the definition service."
        )
    if _fields(announced) != shipped.fields:
        return (
            "the name is that of a type that comes with Pipewright, whose config has the fields "
            f"{', '.join(sorted(shipped.fields))}. Choose another name."
        )
    return None


def _fields(announced: NodeTypeAnnounced) -> frozenset[str]:
    properties = announced.config_schema.get("properties")
    return frozenset(properties) if isinstance(properties, dict) else frozenset()
