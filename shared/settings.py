"""What every service is told by its environment, read once at start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.logging import redact_text
from shared.weakness import is_this_machine, weakness_of_secret

#: A setting and why its value is refused in production.
Weakness = tuple[str, str]

#: Of passwords in URLs; keys that stand alone are longer.
SHORTEST_PASSWORD = 16
SHORTEST_KEY = 32
#: How Postgres may be reached through a network: with the server's certificate checked.
CHECKED_SSL = ("verify-ca", "verify-full")
HOST_PATTERN = r"^[A-Za-z0-9.:_-]+$"


class CommonSettings(BaseSettings):
    """Every variable begins with `PIPEWRIGHT_`."""

    model_config = SettingsConfigDict(env_prefix="PIPEWRIGHT_", env_ignore_empty=True, frozen=True, extra="ignore")

    profile: Literal["development", "production"] = Field(
        default="development",
        description="`production` refuses to start with unsafe values, and names all of them",
        examples=["production"],
    )
    trusted_network: bool = Field(
        default=False,
        description="`production` then accepts NATS and Postgres without TLS on other hosts: the network is private, "
        "or encrypted below us",
        examples=["true"],
    )
    nats_url: str = Field(
        default="nats://127.0.0.1:4222",
        description="NATS, credentials and all; the servers of a cluster one after another with commas; `tls://...` "
        "for TLS, with `?ca=FILE` for an authority of your own",
        examples=["nats://user:password@nats:4222"],
    )
    health_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of /live, /ready and /metrics; 0 for none. The gateway has two of them as routes, too",
        examples=["8081"],
    )
    health_host: str = Field(
        default="127.0.0.1",
        pattern=HOST_PATTERN,
        description="Address of /live, /ready and /metrics",
        examples=["0.0.0.0"],  # noqa: S104  # an example
    )
    otlp_endpoint: str = Field(
        default="",
        description="Collector of OpenTelemetry to which traces are sent (OTLP over HTTP); empty for none",
        examples=["http://otel-collector:4318"],
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least that is logged", examples=["INFO"]
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="For programs, or for people", examples=["json"]
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_http_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0):
            raise ValueError("is no http:// or https:// URL")
        return value

    @field_validator("nats_url")
    @classmethod
    def _is_nats_url(cls, value: str) -> str:
        check_nats_url(value)
        return value

    def weaknesses(self) -> Iterator[Weakness]:
        """What production refuses; each kind of settings adds its own."""
        servers = [urlsplit(url.strip()) for url in self.nats_url.split(",")]
        # All take the credentials and the scheme of the first.
        parts = servers[0]
        secret = parts.password or parts.username
        if secret is None:
            yield "nats_url", "holds no user and password"
        elif weakness := weakness_of_secret(unquote(secret), SHORTEST_PASSWORD):
            yield "nats_url", f"has a password that {weakness}"
        is_remote = not all(is_this_machine(server.hostname or "") for server in servers)
        if parts.scheme != "tls" and is_remote and not self.trusted_network:
            yield (
                "nats_url",
                "reaches another host without TLS: begin it with tls://, or set PIPEWRIGHT_TRUSTED_NETWORK",
            )


class DatabaseSettings(CommonSettings):
    """For the services that own tables."""

    database_url: str = Field(
        default="postgresql://pipewright@127.0.0.1:5432/pipewright",
        description="Postgres, version 16 or later, with the role of the service",
        examples=["postgresql://user:password@postgres:5432/pipewright?sslmode=verify-full"],
    )

    @field_validator("database_url")
    @classmethod
    def _is_database_url(cls, value: str) -> str:
        connection_parameters(value)
        return value

    def weaknesses(self) -> Iterator[Weakness]:
        yield from super().weaknesses()
        parameters = connection_parameters(self.database_url)
        password = str(parameters.get("password") or "")
        if not password and "sslcert" not in parameters:
            yield "database_url", "holds no password"
        elif password and (weakness := weakness_of_secret(password, SHORTEST_PASSWORD)):
            yield "database_url", f"has a password that {weakness}"
        hosts = f"{parameters.get('host', '')},{parameters.get('hostaddr', '')}".split(",")
        is_remote = any(host and not host.startswith("/") and not is_this_machine(host) for host in hosts)
        if is_remote and parameters.get("sslmode") not in CHECKED_SSL and not self.trusted_network:
            yield (
                "database_url",
                "reaches another host without checked TLS: add sslmode=verify-full, or set PIPEWRIGHT_TRUSTED_NETWORK",
            )


def check_nats_url(value: str) -> None:
    """Raises ValueError."""
    for url in value.split(","):
        parts = urlsplit(url.strip())
        # A port that is none raises here.
        if parts.scheme not in ("nats", "tls") or not parts.hostname or parts.port == 0:
            raise ValueError("is no nats:// or tls:// URL, or several with commas between them")


def connection_parameters(database_url: str) -> Mapping[str, Any]:
    """As Postgres's own library reads it; raises ValueError."""
    # Here, since workers have no database.
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        return conninfo_to_dict(database_url)
    except ProgrammingError:
        # What it says of the URL may quote the password.
        raise ValueError("is no URL of a Postgres database") from None


SettingsType = TypeVar("SettingsType", bound=CommonSettings)


class SettingsError(Exception):
    """A variable has a value that cannot be used; the message names it and shows an example, never a secret."""


def read_settings(kind: type[SettingsType], **given: Any) -> SettingsType:
    """Read the environment, where nothing is given; raises SettingsError, one line for each variable at fault."""
    try:
        settings = kind(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(_finding(kind, item) for item in error.errors())) from None
    if settings.profile == "production":
        weak = [describe(kind, field, f"not in production: {problem}") for field, problem in settings.weaknesses()]
        if weak:
            raise SettingsError("\n".join(weak))
    return settings


def weakness_of_key(field: str, key: SecretStr | None) -> Iterator[Weakness]:
    """Of a key that stands alone in its variable."""
    if key is not None and (weakness := weakness_of_secret(key.get_secret_value(), SHORTEST_KEY)):
        yield field, weakness


def variable_of(kind: type[CommonSettings], field: str) -> str:
    """The name under which users set it."""
    alias = kind.model_fields[field].validation_alias if field in kind.model_fields else None
    choices = getattr(alias, "choices", ())
    return str(choices[0]) if choices else f"PIPEWRIGHT_{field.upper()}"


def describe(kind: type[CommonSettings], field: str, problem: str) -> str:
    """One line: the variable, what is wrong with its value, and a good one."""
    info = kind.model_fields.get(field)
    variable = variable_of(kind, field)
    example = f" Example: {variable}={info.examples[0]}" if info is not None and info.examples else ""
    return f"{variable}: {problem.rstrip('.')}.{example}"


def _finding(kind: type[CommonSettings], found: ErrorDetails) -> str:
    match found["type"]:
        case "missing":
            problem = "is not set, and has no default"
        case "too_short":
            problem = f"is shorter than {found['ctx']['min_length']} characters"
        case _:
            problem = redact_text(found["msg"].removeprefix("Value error, "))
    return describe(kind, str(found["loc"][0]), problem)
