"""The names that come with Pipewright are what the executors serve, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from services.definition.built_in import BUILT_IN, Shipped, reason_to_refuse
from services.executors import registry
from services.executors.settings import ExecutorSettings
from shared.contracts.nodes import NodeTypeAnnounced

TYPES = registry.make_node_types(registry.BUILT_IN, ExecutorSettings())


def announced(name: str, **fields: Any) -> NodeTypeAnnounced:
    schema = {"type": "object", "properties": {"content": {"type": "string"}}}
    given = {"title": name, "config_schema": schema, "schema_version": 1, "slots": 1} | fields
    return NodeTypeAnnounced(node_type=name, worker="w", **given)


def test_what_is_shipped_is_what_the_executors_serve():
    served = {kind.name: Shipped(kind.schema_version, frozenset(kind.config_schema["properties"])) for kind in TYPES}
    assert served == BUILT_IN


def test_our_own_workers_are_accepted():
    assert [reason_to_refuse(kind.announcement("w", 1)) for kind in TYPES] == [None] * len(TYPES)


def test_other_names_are_free():
    assert reason_to_refuse(announced("my_text", schema_version=9)) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schema_version": 2}, "schema_version is 1 here and not 2"),
        ({"config_schema": {"properties": {"content": {}, "more": {}}}}, "fields content"),
        ({"config_schema": {"type": "object"}}, "fields content"),
        ({"config_schema": {"properties": ["content"]}}, "fields content"),
    ],
)
def test_another_type_under_our_name_is_refused_with_what_to_do(fields: dict[str, Any], words: str):
    reason = reason_to_refuse(announced("text", **fields))

    assert reason is not None
    assert words in reason
    assert "Choose another name" in reason
