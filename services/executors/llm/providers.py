"""Where models are: every provider speaks the chat completions protocol of OpenAI under its own base URL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import httpx
from pydantic import SecretStr

from services.executors.kit.credentials import blot_out, credentials_of_url
from services.executors.kit.errors import PermanentNodeError
from services.executors.settings import ExecutorSettings
from shared.settings import SettingsError, describe


@dataclass(frozen=True)
class Provider:
    """One provider as this worker knows it."""

    name: str
    base_url: str
    key: SecretStr | None = None
    #: The variable that its key is read from; None when it needs none.
    key_variable: str | None = None
    default_model: str | None = None

    @cached_property
    def completions_url(self) -> httpx.URL:
        return httpx.URL(f"{self.base_url}/chat/completions")

    def without_credentials(self, text: str) -> str:
        """What a provider said, which may quote the key or what stands in its URL."""
        keys = [self.key.get_secret_value()] if self.key is not None else []
        return blot_out(text, [*keys, *credentials_of_url(httpx.URL(self.base_url))])


def read_providers(settings: ExecutorSettings) -> dict[str, Provider]:
    """The known providers, moved or added to by `PIPEWRIGHT_LLM_URLS`."""
    known = [
        Provider(
            "openrouter", "https://openrouter.ai/api/v1", _key(settings.openrouter_api_key), "OPENROUTER_API_KEY",
            "openai/gpt-4o-mini",
        ),
        Provider("xai", "https://api.x.ai/v1", _key(settings.xai_api_key), "XAI_API_KEY", "grok-4"),
        Provider("openai", "https://api.openai.com/v1", _key(settings.openai_api_key), "OPENAI_API_KEY",
                 "gpt-4o-mini"),
        Provider("ollama", "http://127.0.0.1:11434/v1", default_model="llama3.2"),
        Provider("vllm", "http://127.0.0.1:8000/v1"),
    ]  # fmt: skip
    providers = {provider.name: provider for provider in known}
    for name, url in settings.llm_urls.items():
        old = providers.get(name)
        providers[name] = Provider(
            name,
            url.rstrip("/"),
            old.key if old else None,
            old.key_variable if old else None,
            old.default_model if old else name,
        )
    return providers


def _key(key: SecretStr | None) -> SecretStr | None:
    """Without the line feed that a file or a command often leaves; None when nothing is left that a header takes."""
    text = key.get_secret_value().strip() if key is not None else ""
    return SecretStr(text) if text and text.isascii() and text.isprintable() else None


class Providers:
    """Finds the provider and the model of a node; raises PermanentNodeError with the setting to change.

    A default that is not known raises SettingsError at once.
    """

    def __init__(self, settings: ExecutorSettings) -> None:
        self._known = read_providers(settings)
        self._default = settings.llm_provider
        self._default_model = settings.llm_model
        if self._default not in self._known:
            raise SettingsError(
                describe(
                    ExecutorSettings,
                    "llm_provider",
                    f"there is no provider '{self._default}'. Known are: {', '.join(sorted(self._known))}; "
                    "PIPEWRIGHT_LLM_URLS adds one",
                )
            )

    def base_urls(self) -> list[str]:
        return [provider.base_url for provider in self._known.values()]

    def find(self, name: str | None) -> Provider:
        provider = self._known.get(name or self._default)
        if provider is None:
            raise PermanentNodeError(
                "unknown_provider",
                f"There is no provider '{name or self._default}'. Known are: {', '.join(sorted(self._known))}. "
                "Add one with PIPEWRIGHT_LLM_URLS=name=URL on the llm worker.",
            )
        if provider.key_variable is not None and provider.key is None:
            raise PermanentNodeError(
                "no_provider_key",
                f"The provider '{provider.name}' has no key. Set {provider.key_variable} on the llm worker.",
            )
        return provider

    def model_of(self, provider: Provider, model: str | None) -> str:
        is_default = provider.name == self._default and self._default_model is not None
        found = model or (self._default_model if is_default else None) or provider.default_model
        if found is None:
            raise PermanentNodeError(
                "no_model",
                f"Name a model in the node, or set PIPEWRIGHT_LLM_MODEL for provider '{provider.name}'.",
            )
        return found
