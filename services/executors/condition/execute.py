"""Chooses a branch."""

from __future__ import annotations

from typing import Any

from services.executors.condition.config import ConditionConfig
from services.executors.kit.node_type import NodeContext

DEFAULT_BRANCH = "default"


async def execute(config: ConditionConfig, context: NodeContext) -> dict[str, Any]:
    if config.cases is None:
        return {"branch": "true" if config.expression else "false"}
    return {"branch": next((case.branch for case in config.cases if case.when), DEFAULT_BRANCH)}
