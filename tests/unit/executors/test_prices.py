"""What an answer of a model cost."""

from __future__ import annotations

import pytest

from services.executors.llm.metrics import cost_usd
from services.executors.settings import ExecutorSettings
from shared.settings import SettingsError, read_settings


@pytest.mark.parametrize(
    ("usage", "price", "cost"),
    [
        ({"prompt_tokens": 1_000_000, "completion_tokens": 500_000}, (3.0, 15.0), 10.5),
        # The provider's own word counts more.
        ({"prompt_tokens": 1_000_000, "completion_tokens": 0, "cost": 0.25}, (3.0, 15.0), 0.25),
        ({"prompt_tokens": 10, "completion_tokens": 10}, None, None),
        ({"prompt_tokens": "many", "completion_tokens": -5}, (3.0, 15.0), 0.0),
        ({}, (3.0, 15.0), 0.0),
    ],
)
def test_cost_is_told_or_calculated(usage: dict[str, object], price: tuple[float, float] | None, cost: float | None):
    assert cost_usd(usage, price) == cost


def test_prices_are_read_by_model(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPEWRIGHT_LLM_PRICES", "openai/gpt-4o-mini=0.15/0.60, grok-4=3/15")

    assert read_settings(ExecutorSettings).llm_prices == {"openai/gpt-4o-mini": (0.15, 0.6), "grok-4": (3.0, 15.0)}


@pytest.mark.parametrize("text", ["grok-4", "grok-4=3", "grok-4=3/", "grok-4=-1/2", "grok-4=nan/2", "=3/15"])
def test_a_price_that_is_none_is_refused_with_the_variable(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("PIPEWRIGHT_LLM_PRICES", text)

    with pytest.raises(SettingsError, match="PIPEWRIGHT_LLM_PRICES"):
        read_settings(ExecutorSettings)
