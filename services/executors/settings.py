"""What a worker is told by its environment."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from os import getpid
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, PositiveInt, SecretStr, field_validator
from pydantic_settings import NoDecode

from services.executors.kit.addresses import read_allowed
from shared.settings import CommonSettings, Weakness
from shared.weakness import is_this_machine

#: Providers with a key, which must not travel in plain text.
KEYED = ("openrouter", "xai", "openai")
#: What `pipewright up` calls its demo model.
DEMO = "demo"


def _worker_name() -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", f"{socket.gethostname()}-{getpid()}")[:60]


def _key(variable: str) -> SecretStr | None:
    """A provider's own variable, known under the name that its users have set already."""
    field: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices(variable, f"PIPEWRIGHT_{variable}"),
        description="Key of the provider; with `PIPEWRIGHT_` before it, too",
        examples=["sk-..."],
    )
    return field


class ExecutorSettings(CommonSettings):
    worker_name: str = Field(
        default_factory=_worker_name,
        pattern="^[A-Za-z0-9_-]{1,60}$",
        description="Unique among workers",
        examples=["worker-llm-1"],
    )
    #: Node type -> pieces of work at the same time.
    slots: Annotated[dict[str, PositiveInt], NoDecode] = Field(
        default_factory=dict,
        description="Pieces of work at the same time, by node type",
        examples=["llm=4,http_request=32"],
    )
    #: Hosts, host:port pairs and networks that outbound requests may reach though they are not public.
    allow_addresses: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Hosts, host:port pairs and networks that are not public and may be reached all the same",
        examples=["127.0.0.1:8099,10.1.0.0/16"],
    )
    llm_provider: str = Field(
        default="openrouter", description="Provider, when a node names none", examples=["openrouter"]
    )
    llm_model: str | None = Field(
        default=None, description="Model of that provider, when a node names none", examples=["openai/gpt-5-mini"]
    )
    openrouter_api_key: SecretStr | None = _key("OPENROUTER_API_KEY")
    xai_api_key: SecretStr | None = _key("XAI_API_KEY")
    openai_api_key: SecretStr | None = _key("OPENAI_API_KEY")
    #: Provider -> base URL, to add a provider or to move one.
    llm_urls: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="Base URLs by provider name, to add a provider or to move one",
        examples=["ollama=http://127.0.0.1:11434/v1,vllm=http://gpu:8000/v1"],
    )

    #: Model -> US dollars for a million tokens of prompt, and of completion.
    llm_prices: Annotated[dict[str, tuple[float, float]], NoDecode] = Field(
        default_factory=dict,
        description="US dollars for a million tokens of prompt and of completion, by model; for models whose provider "
        "does not tell the cost itself",
        examples=["gpt-4o-mini=0.15/0.60,grok-4=3/15"],
    )

    @field_validator("llm_prices", mode="before")
    @classmethod
    def _read_prices(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        prices = {}
        for model, text in _pairs(value):
            prompt, _, completion = text.partition("/")
            try:
                prices[model] = (float(prompt), float(completion))
            except ValueError:
                raise ValueError(f"the price of '{model}' is not of the form 0.15/0.60") from None
            if not all(0 <= price < 1e6 for price in prices[model]):
                raise ValueError(f"the price of '{model}' is not between 0 and a million")
        return prices

    @field_validator("slots", mode="before")
    @classmethod
    def _read_slots(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return {name: int(count) for name, count in _pairs(value)}

    @field_validator("llm_urls", mode="before")
    @classmethod
    def _read_urls(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        urls = dict(_pairs(value))
        for name, url in urls.items():
            parts = urlsplit(url)
            # A port that is none raises here.
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
                raise ValueError(f"the URL of '{name}' does not begin with http:// or https:// and a host")
        return urls

    @field_validator("allow_addresses", mode="before")
    @classmethod
    def _read_addresses(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = tuple(part.strip() for part in value.split(",") if part.strip())
        read_allowed(parts)
        return parts

    def weaknesses(self) -> Iterator[Weakness]:
        yield from super().weaknesses()
        for text in self.allow_addresses:
            if weakness := _weakness_of_allowed(text):
                yield "allow_addresses", f"'{text}' {weakness}"
        if self.llm_provider == DEMO or DEMO in self.llm_urls:
            field = "llm_provider" if self.llm_provider == DEMO else "llm_urls"
            yield field, "names the demo model"
        for name in KEYED:
            if self.llm_urls.get(name, "").startswith("http://"):
                yield "llm_urls", f"the key of '{name}' would travel without TLS: its URL begins with http://"


def _weakness_of_allowed(text: str) -> str | None:
    """One service inside is what the setting is for; a whole network, or all ports of a host, is too much."""
    if "/" in text:
        return "is a whole network: name each service as host:port"
    ((host, port),) = read_allowed([text]).hosts
    if is_this_machine(host):
        return "is the worker's own machine, or where clouds keep its secrets"
    return "opens every port: name each service as host:port" if port is None else None


def _pairs(text: str) -> list[tuple[str, str]]:
    """`a=1,b=2` as pairs; raises ValueError."""
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name or not value:
            raise ValueError(f"'{part}' is not of the form name=value")
        pairs.append((name.strip(), value.strip()))
    return pairs
