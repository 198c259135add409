"""What a gateway is told by its environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from shared.settings import DatabaseSettings


class GatewaySettings(DatabaseSettings):
    host: str = Field(default="127.0.0.1", description="Address to listen on", examples=["0.0.0.0"])  # noqa: S104  # an example
    port: int = Field(default=8080, ge=1, le=65535, description="Port to listen on", examples=["8080"])
    #: The first admin key; may have any form.
    api_key: SecretStr | None = Field(
        default=None, min_length=8, description="The first admin key", examples=["$(openssl rand -hex 32)"]
    )
    rate_limit_per_s: float = Field(
        default=100,
        ge=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="Requests a second that one API key may send to one gateway, twice as many at once; 0 for no limit",
        examples=["100"],
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Web pages of these origins may call; none by default",
        examples=["https://app.example.com,https://admin.example.com"],
    )

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _read_origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())
