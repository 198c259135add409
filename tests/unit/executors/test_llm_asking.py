"""llm: what the provider is asked, which provider, and with which key."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.executors.kit.errors import PermanentNodeError
from services.executors.llm.config import LlmConfig
from services.executors.llm.providers import Providers, read_providers
from tests.unit.executors.asking import settings
from tests.unit.executors.models import KEY, Model, model


async def test_a_prompt_is_asked_as_a_streamed_chat(llm: Model):
    await llm.answer("What is a node?", model="m-2")
    assert (llm.server.last.method, llm.server.last.target) == ("POST", "/v1/chat/completions")
    assert llm.server.last.headers["authorization"] == f"Bearer {KEY}"
    assert llm.server.last.headers["content-type"] == "application/json"
    assert llm.asked == {
        "model": "m-2",
        "messages": [{"role": "user", "content": "What is a node?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_the_system_text_comes_first(llm: Model):
    await llm.answer("Hi", system="Be brief.")
    assert llm.asked["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


async def test_images_stand_beside_the_prompt(llm: Model):
    await llm.answer("What is this?", images=["https://host/a.png", "data:image/png;base64,AA=="])
    assert llm.asked["messages"][0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://host/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]


@pytest.mark.parametrize(
    "config", [{"temperature": 0.0}, {"max_tokens": 1}, {"temperature": 2, "max_tokens": 99}], ids=str
)
async def test_parameters_are_sent_when_they_are_given(llm: Model, config: dict[str, Any]):
    await llm.answer(**config)
    assert {name: llm.asked[name] for name in ("temperature", "max_tokens") if name in llm.asked} == config


@pytest.mark.parametrize(
    "config",
    [
        {"prompt": ""},
        {"temperature": 2.1},
        {"temperature": -1},
        {"max_tokens": 0},
        {"images": ["x"] * 21},
        {"promt": "x"},
    ],
    ids=lambda config: str(config)[:30],
)
def test_a_config_out_of_bounds_is_refused(config: dict[str, Any]):
    with pytest.raises(ValidationError):
        LlmConfig.model_validate({"prompt": "x", **config})


async def test_provider_and_model_are_told_beside_the_result(llm: Model):
    await llm.answer()
    assert (llm.metadata["provider"], llm.metadata["model"]) == ("openai", "gpt-4o-mini")


async def test_a_node_may_name_another_provider():
    async with model() as openai, model() as llm:
        urls = f"openai={openai.server.url},ollama={llm.server.url}"
        both = Model(llm.server, PIPEWRIGHT_LLM_URLS=urls)
        await both.answer(provider="ollama")
        await both.node_type.close()
        assert llm.asked["model"] == "llama3.2"
        assert "authorization" not in llm.server.last.headers
        assert openai.server.requests == []


@pytest.mark.parametrize(
    ("name", "url", "variable"),
    [
        ("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        ("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
        ("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
        ("ollama", "http://127.0.0.1:11434/v1", None),
        ("vllm", "http://127.0.0.1:8000/v1", None),
    ],
)
def test_the_known_providers_are_where_they_are(name: str, url: str, variable: str | None):
    found = read_providers(settings())[name]
    assert (found.base_url, found.key_variable, found.key) == (url, variable, None)


def test_the_first_default_is_openrouter():
    found = Providers(settings(OPENROUTER_API_KEY="k")).find(None)
    assert (found.name, found.key.get_secret_value() if found.key else None) == ("openrouter", "k")


def test_a_key_may_have_our_prefix_too():
    assert Providers(settings(PIPEWRIGHT_XAI_API_KEY="k")).find("xai").name == "xai"


def test_a_setting_adds_providers_and_moves_known_ones():
    urls = "mine=http://gpu:8000/v1/, openai=https://proxy/v1"
    found = read_providers(settings(PIPEWRIGHT_LLM_URLS=urls, OPENAI_API_KEY="k"))
    assert (found["mine"].base_url, found["mine"].default_model, found["mine"].key_variable) == (
        "http://gpu:8000/v1",
        "mine",
        None,
    )
    assert (found["openai"].base_url, found["openai"].key_variable) == ("https://proxy/v1", "OPENAI_API_KEY")


@pytest.mark.parametrize("key", [None, "", " \n", "ü", "a\x01b"], ids=repr)
@pytest.mark.parametrize("variable", ["OPENROUTER_API_KEY", "XAI_API_KEY", "OPENAI_API_KEY"])
def test_a_provider_without_a_usable_key_names_the_variable_to_set(variable: str, key: str | None):
    name = variable.split("_")[0].lower()
    providers = Providers(settings(**({variable: key} if key is not None else {})))
    with pytest.raises(PermanentNodeError) as failed:
        providers.find(name)
    assert failed.value.code == "no_provider_key"
    assert failed.value.message == f"The provider '{name}' has no key. Set {variable} on the llm worker."


async def test_a_line_feed_after_the_key_does_no_harm():
    async with model(OPENAI_API_KEY=f" {KEY}\n") as llm:
        await llm.answer()
        assert llm.server.last.headers["authorization"] == f"Bearer {KEY}"


def test_an_unknown_provider_is_named_with_the_known_ones():
    with pytest.raises(PermanentNodeError) as failed:
        Providers(settings(PIPEWRIGHT_LLM_URLS="mine=http://gpu")).find("opnai")
    assert failed.value.code == "unknown_provider"
    assert failed.value.message == (
        "There is no provider 'opnai'. Known are: mine, ollama, openai, openrouter, vllm, xai. "
        "Add one with PIPEWRIGHT_LLM_URLS=name=URL on the llm worker."
    )


@pytest.mark.parametrize(
    ("provider", "named", "given"),
    [
        ("openai", None, "default-model"),
        ("openai", "m", "m"),
        ("xai", None, "grok-4"),
        ("xai", "m", "m"),
        ("mine", None, "mine"),
    ],
)
def test_the_model_is_the_nodes_or_the_settings_or_the_providers(provider: str, named: str | None, given: str):
    providers = Providers(
        settings(
            PIPEWRIGHT_LLM_PROVIDER="openai",
            PIPEWRIGHT_LLM_MODEL="default-model",
            PIPEWRIGHT_LLM_URLS="mine=http://gpu",
            OPENAI_API_KEY="k",
            XAI_API_KEY="k",
        )
    )
    assert providers.model_of(providers.find(provider), named) == given


def test_a_provider_without_a_model_of_its_own_wants_one_named():
    providers = Providers(settings())
    with pytest.raises(PermanentNodeError, match="Name a model in the node, or set PIPEWRIGHT_LLM_MODEL"):
        providers.model_of(providers.find("vllm"), None)


async def test_only_providers_of_the_settings_are_reached_inside():
    """The server is allowed as a provider; nothing else on its machine is."""
    async with model() as llm, model() as other:
        llm.server.answers[0].status = 302
        llm.server.answers[0].headers.append(("location", other.server.url))
        failed = await llm.failure()
        assert failed.code == "provider_refused"
        assert other.server.requests == []
