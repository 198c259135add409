"""A worker's settings: read as they are written; a wrong one names the variable and shows an example."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shared.settings import SettingsError
from tests.unit.executors.asking import settings


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("SLOTS", "llm=4,http_request=32", "slots", {"llm": 4, "http_request": 32}),
        ("SLOTS", " llm = 4 , ", "slots", {"llm": 4}),
        ("SLOTS", "", "slots", {}),
        ("ALLOW_ADDRESSES", "127.0.0.1:8099, 10.1.0.0/16,", "allow_addresses", ("127.0.0.1:8099", "10.1.0.0/16")),
        ("ALLOW_ADDRESSES", "", "allow_addresses", ()),
        (
            "LLM_URLS",
            "a=http://h/v1?x=1, b=https://[::1]:8/",
            "llm_urls",
            {"a": "http://h/v1?x=1", "b": "https://[::1]:8/"},
        ),
        ("LLM_PROVIDER", "xai", "llm_provider", "xai"),
        ("LLM_MODEL", "m/n", "llm_model", "m/n"),
        ("WORKER_NAME", "worker-1", "worker_name", "worker-1"),
    ],
)
def test_a_variable_is_read_as_it_is_written(variable: str, text: str, field: str, value: Any):
    assert getattr(settings(**{f"PIPEWRIGHT_{variable}": text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("SLOTS", "llm", "'llm' is not of the form name=value. Example: PIPEWRIGHT_SLOTS=llm=4,http_request=32"),
        ("SLOTS", "llm=", "'llm=' is not of the form name=value"),
        ("SLOTS", "llm=four", "invalid literal for int() with base 10: 'four'. Example: PIPEWRIGHT_SLOTS=llm=4"),
        ("SLOTS", "llm=0", "Input should be greater than 0"),
        ("SLOTS", "llm=-1", "Input should be greater than 0"),
        ("ALLOW_ADDRESSES", "host:", "Example: PIPEWRIGHT_ALLOW_ADDRESSES=127.0.0.1:8099,10.1.0.0/16"),
        ("ALLOW_ADDRESSES", "10.0.0.0/40", "Example: PIPEWRIGHT_ALLOW_ADDRESSES=127.0.0.1:8099,10.1.0.0/16"),
        ("LLM_URLS", "http://h", "'http://h' is not of the form name=value"),
        ("LLM_URLS", "a=h:8000", "the URL of 'a' does not begin with http:// or https:// and a host"),
        ("LLM_URLS", "a=http://", "the URL of 'a' does not begin with http:// or https:// and a host"),
        ("LLM_URLS", "a=http://h:port", "Example: PIPEWRIGHT_LLM_URLS=ollama=http://127.0.0.1:11434/v1"),
        ("WORKER_NAME", "no spaces", "String should match pattern"),
    ],
)
def test_a_wrong_variable_is_named_with_an_example(variable: str, text: str, words: str):
    with pytest.raises(SettingsError, match=re.escape(words)) as refused:
        settings(**{f"PIPEWRIGHT_{variable}": text})
    assert str(refused.value).startswith(f"PIPEWRIGHT_{variable}: ")


def test_a_worker_names_itself_when_it_is_not_named():
    assert re.fullmatch("[A-Za-z0-9_-]{1,60}", settings().worker_name)


def test_keys_are_not_shown():
    shown = settings(OPENAI_API_KEY="sk-s3cret", OPENROUTER_API_KEY="sk-s3cret", XAI_API_KEY="sk-s3cret")
    assert "s3cret" not in repr(shown) + str(shown) + shown.model_dump_json()
