"""A node type from outside the tree, on Pipewright's kit: turns a text around.

PIPEWRIGHT_NATS_URL=$(pipewright status --json | jq -r .nats) python reverse.py
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from services.executors.app import serve_forever
from services.executors.kit.node_config import NodeConfig
from services.executors.kit.node_type import NodeContext, NodeType


class ReverseConfig(NodeConfig):
    text: str = Field(description="What to turn around", examples=["{{ input.word }}"])


async def execute(config: ReverseConfig, context: NodeContext) -> dict[str, Any]:
    return {"text": config.text[::-1]}


REVERSE = NodeType(
    name="reverse",
    title="Reverse",
    description="Turns a text around.",
    config_model=ReverseConfig,
    execute=execute,
    slots=8,
)

if __name__ == "__main__":
    serve_forever(REVERSE)
