"""The node type `text`."""

from __future__ import annotations

from services.executors.kit.examples import read_examples
from services.executors.kit.node_type import NodeType
from services.executors.settings import ExecutorSettings
from services.executors.text.config import TextConfig
from services.executors.text.execute import execute


def make(settings: ExecutorSettings) -> NodeType:
    return NodeType(
        name="text",
        title="Text",
        description="A text with values filled in.",
        config_model=TextConfig,
        execute=execute,
        slots=500,
        is_fast=True,
        output_schema={"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
        examples=read_examples("text"),
    )
