"""What a text node may be told."""

from __future__ import annotations

from pydantic import Field

from services.executors.kit.node_config import NodeConfig


class TextConfig(NodeConfig):
    content: str = Field(description="The text; a template", examples=["Hello {{ input.name }}"])
