"""The node type `condition`."""

from __future__ import annotations

from services.executors.condition.config import ConditionConfig
from services.executors.condition.execute import execute
from services.executors.kit.examples import read_examples
from services.executors.kit.node_type import NodeType
from services.executors.settings import ExecutorSettings


def make(settings: ExecutorSettings) -> NodeType:
    return NodeType(
        name="condition",
        title="Condition",
        description="Takes one of several branches.",
        config_model=ConditionConfig,
        execute=execute,
        slots=500,
        is_fast=True,
        branches="config:cases",
        output_schema={
            "type": "object",
            "properties": {"branch": {"type": "string"}},
            "required": ["branch"],
        },
        examples=read_examples("condition"),
    )
