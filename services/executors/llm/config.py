"""What an llm node may be told."""

from __future__ import annotations

from pydantic import Field

from services.executors.kit.node_config import NodeConfig


class LlmConfig(NodeConfig):
    provider: str | None = Field(
        default=None,
        description="openrouter, xai, openai, ollama, vllm, demo or one named by a setting; else the default",
        examples=["openrouter"],
    )
    model: str | None = Field(default=None, description="The provider's name of the model; else the default")
    system: str | None = Field(default=None, description="What the model is told of its task")
    prompt: str = Field(min_length=1, description="What the model is asked", examples=["Describe {{ input.topic }}"])
    images: list[str] = Field(default_factory=list, max_length=20, description="URLs or data URLs, for models that see")
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
