"""The node type `llm`."""

from __future__ import annotations

import httpx

from services.executors.kit.addresses import read_allowed
from services.executors.kit.examples import read_examples
from services.executors.kit.node_type import NodeType
from services.executors.kit.outbound import OutboundClient
from services.executors.llm.config import LlmConfig
from services.executors.llm.execute import Llm
from services.executors.llm.providers import Providers
from services.executors.settings import ExecutorSettings


def make(settings: ExecutorSettings) -> NodeType:
    providers = Providers(settings)
    client = OutboundClient(read_allowed([*settings.allow_addresses, *_hosts(providers.base_urls())]))
    return NodeType(
        name="llm",
        title="LLM",
        description="Asks a language or vision model.",
        config_model=LlmConfig,
        execute=Llm(client, providers, settings.llm_prices).execute,
        slots=256,
        emits_tokens=True,
        default_timeout_s=120.0,
        output_schema={
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "model": {"type": "string"},
                "finish_reason": {"type": "string"},
                "usage": {"type": "object"},
            },
            "required": ["text", "model", "finish_reason", "usage"],
        },
        examples=read_examples("llm"),
        close=client.aclose,
    )


def _hosts(urls: list[str]) -> list[str]:
    """What the operator named as a provider may be reached, wherever it is."""
    found = []
    for text in urls:
        url = httpx.URL(text)
        host = f"[{url.host}]" if ":" in url.host else url.host
        found.append(f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}")
    return found
