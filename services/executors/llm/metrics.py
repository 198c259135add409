"""What models were asked, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter

from shared.metrics import Capped

TOKENS = Counter("pipewright_llm_tokens", "Tokens by the provider's own count", ["model", "kind"])
COST = Counter("pipewright_llm_cost_usd", "US dollars, as far as the provider or the prices tell", ["model"])
REQUESTS = Counter("pipewright_llm_requests", "Requests to providers", ["model", "outcome"])

#: Models are chosen by whoever writes a pipeline.
model_label = Capped(50)


def cost_usd(usage: Mapping[str, Any], price: tuple[float, float] | None) -> float | None:
    """The provider's own word (`cost`, as OpenRouter sends it), else by the price of a million tokens in and out."""
    said = usage.get("cost")
    if isinstance(said, int | float):
        return float(said)
    if price is None:
        return None
    return (_count(usage, "prompt_tokens") * price[0] + _count(usage, "completion_tokens") * price[1]) / 1e6


def count_answer(model: str, usage: Mapping[str, Any], cost: float | None) -> None:
    label = model_label(model)
    REQUESTS.labels(label, "answered").inc()
    TOKENS.labels(label, "prompt").inc(_count(usage, "prompt_tokens"))
    TOKENS.labels(label, "completion").inc(_count(usage, "completion_tokens"))
    if cost is not None:
        COST.labels(label).inc(max(0.0, cost))


def count_refusal(model: str, code: str) -> None:
    """`code` is the error's, which is ours."""
    REQUESTS.labels(model_label(model), code).inc()


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and value > 0 else 0
