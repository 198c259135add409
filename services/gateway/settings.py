"""What a gateway is told by its environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from shared.settings import HOST_PATTERN, DatabaseSettings, Weakness, weakness_of_key


class GatewaySettings(DatabaseSettings):
    host: str = Field(
        default="127.0.0.1",
        pattern=HOST_PATTERN,
        description="Address to listen on",
        examples=["0.0.0.0"],  # noqa: S104  # an example
    )
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
        description="Web pages of these origins may call",
        examples=["https://app.example.com,https://admin.example.com"],
    )

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _read_origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        origins = tuple(part.strip() for part in value.split(",") if part.strip())
        for origin in origins:
            if origin != "*" and not _is_origin(origin):
                raise ValueError(f"'{origin}' is no origin, such as https://app.example.com")
        return origins

    def weaknesses(self) -> Iterator[Weakness]:
        yield from super().weaknesses()
        yield from weakness_of_key("api_key", self.api_key)
        for origin in self.cors_origins:
            if origin == "*":
                yield "cors_origins", "lets pages of every origin call"
            elif not origin.startswith("https://"):
                yield "cors_origins", f"'{origin}' is not https, so that anybody on its way could change its pages"


def _is_origin(text: str) -> bool:
    """Scheme, host and perhaps a port, and nothing else; raises ValueError when the port is none."""
    parts = urlsplit(text)
    has_more = parts.path or parts.query or parts.fragment or parts.username
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not has_more
