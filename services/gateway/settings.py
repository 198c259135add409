"""What a gateway is told by its environment."""

from __future__ import annotations

from pydantic import Field, SecretStr

from shared.settings import DatabaseSettings


class GatewaySettings(DatabaseSettings):
    host: str = Field(default="127.0.0.1", description="Address to listen on", examples=["0.0.0.0"])  # noqa: S104  # an example
    port: int = Field(default=8080, ge=1, le=65535, description="Port to listen on", examples=["8080"])
    #: The first admin key; may have any form.
    api_key: SecretStr | None = Field(
        default=None, min_length=8, description="The first admin key", examples=["$(openssl rand -hex 32)"]
    )
