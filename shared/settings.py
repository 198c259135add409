"""What every service is told by its environment, read once at start."""

from __future__ import annotations

from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class CommonSettings(BaseSettings):
    """Every variable begins with `PIPEWRIGHT_`."""

    model_config = SettingsConfigDict(env_prefix="PIPEWRIGHT_", env_ignore_empty=True, frozen=True, extra="ignore")

    nats_url: str = Field(
        default="nats://127.0.0.1:4222",
        description="NATS server, credentials and all; the servers of a cluster one after another with commas",
        examples=["nats://user:password@nats:4222"],
    )
    health_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of /live and /ready; 0 for none. The gateway has both among its routes",
        examples=["8081"],
    )
    health_host: str = Field(default="127.0.0.1", description="Address of /live and /ready", examples=["0.0.0.0"])  # noqa: S104  # an example
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", examples=["INFO"])
    log_format: str = Field(default="json", pattern="^(json|console)$", examples=["json"])


class DatabaseSettings(CommonSettings):
    """For the services that own tables."""

    database_url: str = Field(
        default="postgresql://pipewright@127.0.0.1:5432/pipewright",
        description="Postgres, version 16 or later",
        examples=["postgresql://user:password@postgres:5432/pipewright"],
    )


SettingsType = TypeVar("SettingsType", bound=CommonSettings)


class SettingsError(Exception):
    """A variable has a value that cannot be used; the message names it and shows an example."""


def read_settings(kind: type[SettingsType]) -> SettingsType:
    """Read the environment; raises SettingsError, one line for each variable at fault."""
    try:
        return kind()
    except ValidationError as error:
        raise SettingsError("\n".join(_finding(kind, item["loc"], item["msg"]) for item in error.errors())) from error


def _finding(kind: type[CommonSettings], place: tuple[int | str, ...], message: str) -> str:
    field = str(place[0]) if place else ""
    variable = f"PIPEWRIGHT_{field.upper()}"
    info = kind.model_fields.get(field)
    example = f" Example: {variable}={info.examples[0]}" if info is not None and info.examples else ""
    return f"{variable}: {message}.{example}"
