"""What an http_request node may be told."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from services.executors.kit.node_config import NodeConfig


class HttpRequestConfig(NodeConfig):
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: str = Field(
        min_length=1,
        description="Where to, http or https",
        examples=["https://api.example.com/users/{{ id }}"],
    )
    headers: dict[str, str] = Field(default_factory=dict, max_length=100)
    query: dict[str, Any] = Field(
        default_factory=dict, max_length=100, description="Added to the URL; a list repeats its name"
    )
    body: Any = Field(default=None, description="Text is sent as it is, anything else as JSON")
    timeout_s: float = Field(default=30.0, gt=0, le=3600, description="For the whole exchange, in seconds")
