"""The node type `transform`."""

from __future__ import annotations

from services.executors.kit.examples import read_examples
from services.executors.kit.node_type import NodeType
from services.executors.settings import ExecutorSettings
from services.executors.transform.config import TransformConfig
from services.executors.transform.execute import execute


def make(settings: ExecutorSettings) -> NodeType:
    return NodeType(
        name="transform",
        title="Transform",
        description="Makes any JSON value out of others.",
        config_model=TransformConfig,
        execute=execute,
        slots=500,
        is_fast=True,
        output_schema={"type": "object", "properties": {"value": {}}, "required": ["value"]},
        examples=read_examples("transform"),
    )
