"""Gives the value of its expression."""

from __future__ import annotations

from typing import Any

from services.executors.kit.node_type import NodeContext
from services.executors.transform.config import TransformConfig


async def execute(config: TransformConfig, context: NodeContext) -> dict[str, Any]:
    return {"value": config.expression}
