"""The production profile: unsafe values stop the start, all of them at once, and safe ones do not."""

from __future__ import annotations

import os
import re
from pathlib import Path
from secrets import token_hex

import pytest
import yaml

from services.cli.settings_docs import kinds
from shared.settings import SettingsError, read_settings

KEY = "0f4b1a9c7d2e8f63a5b0c9d8e7f60123"
PASSWORD = "Xk29fQpL0aWz81Vb"
SAFE = {
    "PIPEWRIGHT_PROFILE": "production",
    "PIPEWRIGHT_NATS_URL": f"tls://service:{PASSWORD}@nats:4222",
    "PIPEWRIGHT_DATABASE_URL": f"postgresql://service:{PASSWORD}@postgres/pipewright?sslmode=verify-full",
    "PIPEWRIGHT_SECRET": KEY,
    "PIPEWRIGHT_API_KEY": KEY,
    "PIPEWRIGHT_CORS_ORIGINS": "https://app.example.com,https://admin.example.com:8443",
    "PIPEWRIGHT_ALLOW_ADDRESSES": "10.1.2.3:8080,billing.internal:443,[fd00::1]:80",
    "PIPEWRIGHT_LLM_URLS": "vllm=http://gpu:8000/v1,openai=https://proxy.example.com/v1",
    "PIPEWRIGHT_LLM_PROVIDER": "vllm",
}
POSTGRES = f"postgresql://service:{PASSWORD}@postgres/pipewright"

COMPOSE = yaml.safe_load((Path(__file__).parents[3] / "docker-compose.yml").read_text())["services"]

#: Service, variable, an unsafe value, and words of what is said of it.
UNSAFE = [
    ("coordinator", "NATS_URL", "", "holds no user and password"),
    ("coordinator", "NATS_URL", "tls://nats:4222", "holds no user and password"),
    ("coordinator", "NATS_URL", "tls://service:password@nats:4222", "is a well-known value"),
    ("coordinator", "NATS_URL", "tls://service:pipewright1@nats:4222", "is a well-known value"),
    ("coordinator", "NATS_URL", "tls://service:Xk29fQpL0@nats:4222", "is shorter than 16 characters"),
    ("coordinator", "NATS_URL", "tls://token@nats:4222", "is shorter than 16 characters"),
    ("coordinator", "NATS_URL", f"nats://service:{PASSWORD}@nats:4222", "without TLS"),
    ("coordinator", "NATS_URL", f"nats://service:{PASSWORD}@10.0.0.7:4222", "without TLS"),
    ("coordinator", "NATS_URL", f"nats://service:{PASSWORD}@127.0.0.1:4222,nats://nats-2:4222", "without TLS"),
    ("definition", "DATABASE_URL", "", "holds no password"),
    ("definition", "DATABASE_URL", "postgresql://service@postgres/p?sslmode=verify-full", "holds no password"),
    ("definition", "DATABASE_URL", "postgresql://s:postgres@postgres/p?sslmode=verify-ca", "is a well-known value"),
    ("definition", "DATABASE_URL", "postgresql://s:Xk29fQpL0@postgres/p?sslmode=verify-ca", "shorter than 16"),
    ("definition", "DATABASE_URL", POSTGRES, "without checked TLS"),
    ("definition", "DATABASE_URL", f"{POSTGRES}?sslmode=prefer", "without checked TLS"),
    ("definition", "DATABASE_URL", f"{POSTGRES}?sslmode=require", "without checked TLS"),
    ("definition", "DATABASE_URL", f"host=127.0.0.1,postgres user=s password={PASSWORD}", "without checked TLS"),
    ("coordinator", "SECRET", "changeme-changeme-changeme-changeme", "is a well-known value"),
    ("coordinator", "SECRET", "0123" * 8, "repeats a few characters"),
    ("gateway", "API_KEY", "changeme", "is a well-known value"),
    ("gateway", "API_KEY", "secret123", "is a well-known value"),
    ("gateway", "API_KEY", KEY[:31], "is shorter than 32 characters"),
    ("gateway", "API_KEY", "a" * 40, "repeats a few characters"),
    ("gateway", "CORS_ORIGINS", "*", "every origin"),
    ("gateway", "CORS_ORIGINS", "https://app.example.com,http://localhost:3000", "is not https"),
    ("worker", "ALLOW_ADDRESSES", "127.0.0.1:8099", "own machine"),
    ("worker", "ALLOW_ADDRESSES", "localhost:8099", "own machine"),
    ("worker", "ALLOW_ADDRESSES", "[::1]:8099", "own machine"),
    ("worker", "ALLOW_ADDRESSES", "0.0.0.0:80", "own machine"),
    ("worker", "ALLOW_ADDRESSES", "169.254.169.254:80", "own machine"),
    ("worker", "ALLOW_ADDRESSES", "10.1.0.0/16", "whole network"),
    ("worker", "ALLOW_ADDRESSES", "0.0.0.0/0", "whole network"),
    ("worker", "ALLOW_ADDRESSES", "billing.internal", "every port"),
    ("worker", "LLM_URLS", "demo=http://127.0.0.1:9000/v1,vllm=http://gpu:8000/v1", "demo model"),
    ("worker", "LLM_PROVIDER", "demo", "demo model"),
    ("worker", "LLM_URLS", "openai=http://proxy:8000/v1", "without TLS"),
]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch):
    for name in os.environ:
        if name.startswith("PIPEWRIGHT_"):
            monkeypatch.delenv(name)
    for name, value in SAFE.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("service", "variable", "value", "words"), UNSAFE)
def test_an_unsafe_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, service: str, variable: str, value: str, words: str
):
    monkeypatch.setenv(f"PIPEWRIGHT_{variable}", value)
    with pytest.raises(SettingsError) as refused:
        read_settings(kinds()[service])
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"PIPEWRIGHT_{variable}: not in production: ")
    assert words in line
    assert f" Example: PIPEWRIGHT_{variable}=" in line


@pytest.mark.parametrize(("service", "variable", "value", "words"), UNSAFE)
def test_development_accepts_it(monkeypatch: pytest.MonkeyPatch, service: str, variable: str, value: str, words: str):
    monkeypatch.setenv("PIPEWRIGHT_PROFILE", "development")
    monkeypatch.setenv(f"PIPEWRIGHT_{variable}", value)
    assert read_settings(kinds()[service]).profile == "development"


@pytest.mark.parametrize("service", kinds())
def test_safe_values_are_accepted(service: str):
    assert read_settings(kinds()[service]).profile == "production"


@pytest.mark.parametrize("url", [f"nats://s:{PASSWORD}@127.0.0.1:4222", f"nats://s:{PASSWORD}@localhost:4222"])
def test_on_the_same_machine_nothing_needs_tls(monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("PIPEWRIGHT_NATS_URL", url)
    monkeypatch.setenv("PIPEWRIGHT_DATABASE_URL", f"postgresql://s:{PASSWORD}@localhost/pipewright")
    assert read_settings(kinds()["definition"]).nats_url == url


def test_a_network_that_is_said_to_be_trusted_needs_no_tls(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPEWRIGHT_TRUSTED_NETWORK", "true")
    monkeypatch.setenv("PIPEWRIGHT_NATS_URL", f"nats://s:{PASSWORD}@nats:4222")
    monkeypatch.setenv("PIPEWRIGHT_DATABASE_URL", POSTGRES)
    assert read_settings(kinds()["definition"]).trusted_network


@pytest.mark.parametrize("service", [name for name, part in COMPOSE.items() if part.get("command", [""])[0] == "serve"])
def test_compose_is_fit_for_production_with_random_secrets(monkeypatch: pytest.MonkeyPatch, service: str):
    """Every variable without a default is a secret: deploy/make-env.sh writes 32 random bytes, as hex."""
    for name in SAFE:
        monkeypatch.delenv(name)
    for name, value in COMPOSE[service]["environment"].items():
        filled = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:\?.*?\}", lambda _: token_hex(32), filled))
    monkeypatch.setenv("PIPEWRIGHT_PROFILE", "production")
    kind = COMPOSE[service]["command"][1]
    assert read_settings(kinds()[kind]).profile == "production"


def test_all_findings_are_told_at_once_and_without_a_secret(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPEWRIGHT_NATS_URL", "nats://gateway:hunter2@nats:4222")
    monkeypatch.setenv("PIPEWRIGHT_DATABASE_URL", "postgresql://gateway:hunter2@postgres/pipewright")
    monkeypatch.setenv("PIPEWRIGHT_API_KEY", "hunter2hunter2")
    monkeypatch.setenv("PIPEWRIGHT_CORS_ORIGINS", "*")
    with pytest.raises(SettingsError) as refused:
        read_settings(kinds()["gateway"])
    assert [line.partition(":")[0].removeprefix("PIPEWRIGHT_") for line in str(refused.value).splitlines()] == [
        "NATS_URL", "NATS_URL", "DATABASE_URL", "DATABASE_URL", "API_KEY", "CORS_ORIGINS",
    ]  # fmt: skip
    assert "hunter2" not in str(refused.value)
