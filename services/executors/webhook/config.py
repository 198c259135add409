"""What a delivery consists of; the coordinator has signed it."""

from __future__ import annotations

from pydantic import Field

from services.executors.kit.node_config import NodeConfig


class WebhookConfig(NodeConfig):
    url: str = Field(min_length=1)
    id: str = Field(description="The header webhook-id")
    timestamp: str = Field(pattern=r"^\d+$", description="The header webhook-timestamp: seconds since 1970")
    signature: str = Field(description="The header webhook-signature")
    body: str = Field(description="JSON, sent as it was signed")
