"""What a transform node may be told."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from services.executors.kit.node_config import NodeConfig


class TransformConfig(NodeConfig):
    expression: Any = Field(
        description="A Jinja2 expression, without braces; its value is the output",
        examples=["nodes.fetch.body | jmespath('items[].name')"],
        json_schema_extra={"type": "string", "format": "expression"},
    )
