"""Gives its text."""

from __future__ import annotations

from typing import Any

from services.executors.kit.node_type import NodeContext
from services.executors.text.config import TextConfig


async def execute(config: TextConfig, context: NodeContext) -> dict[str, Any]:
    return {"text": config.content}
