"""Settings: read from the environment alone; a wrong one names its variable and shows an example."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.cli.settings_docs import kinds, settings_document
from shared.settings import CommonSettings, DatabaseSettings, SettingsError, read_settings

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch):
    for name in os.environ:
        if name.startswith("PIPEWRIGHT_"):
            monkeypatch.delenv(name)


def test_without_variables_the_defaults_are_those_of_one_machine():
    found = read_settings(DatabaseSettings)
    assert found.nats_url == "nats://127.0.0.1:4222"
    assert found.database_url == "postgresql://pipewright@127.0.0.1:5432/pipewright"
    assert (found.log_level, found.log_format) == ("INFO", "json")


def test_a_variable_is_read_under_our_prefix(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPEWRIGHT_NATS_URL", "nats://elsewhere:4222")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("PIPEWRIGHT_SOMETHING_ELSE", "1")
    found = read_settings(CommonSettings)
    assert (found.nats_url, found.log_level) == ("nats://elsewhere:4222", "INFO")


@pytest.mark.parametrize(
    ("variable", "value", "example"),
    [
        ("PIPEWRIGHT_LOG_LEVEL", "LOUD", "Example: PIPEWRIGHT_LOG_LEVEL=INFO"),
        ("PIPEWRIGHT_LOG_LEVEL", "info", "Example: PIPEWRIGHT_LOG_LEVEL=INFO"),
        ("PIPEWRIGHT_LOG_FORMAT", "xml", "Example: PIPEWRIGHT_LOG_FORMAT=json"),
    ],
)
def test_a_wrong_variable_is_named_with_an_example(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, example: str
):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        read_settings(CommonSettings)
    assert str(refused.value).startswith(f"{variable}: Input should be '")
    assert str(refused.value).endswith(example)


def test_every_wrong_variable_has_its_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPEWRIGHT_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("PIPEWRIGHT_LOG_FORMAT", "xml")
    with pytest.raises(SettingsError) as refused:
        read_settings(DatabaseSettings)
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == [
        "PIPEWRIGHT_LOG_LEVEL",
        "PIPEWRIGHT_LOG_FORMAT",
    ]


def test_an_empty_variable_is_as_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPEWRIGHT_LOG_LEVEL", "")
    assert read_settings(CommonSettings).log_level == "INFO"


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        read_settings(CommonSettings).nats_url = "nats://elsewhere"  # type: ignore[misc]  # the test's point


@pytest.mark.parametrize("kind", kinds().values(), ids=kinds())
def test_every_setting_says_what_it_does_and_shows_an_example(kind: type[CommonSettings]):
    assert [name for name, field in kind.model_fields.items() if not (field.examples and field.description)] == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PIPEWRIGHT_NATS_URL", "nats.example.com:4222"),
        ("PIPEWRIGHT_NATS_URL", "http://user:s3cret@nats:4222"),
        ("PIPEWRIGHT_NATS_URL", "nats://user:s3cret@nats:port"),
        ("PIPEWRIGHT_NATS_URL", "nats://user:s3cret@"),
        ("PIPEWRIGHT_DATABASE_URL", "pipewright:s3cret@postgres"),
        ("PIPEWRIGHT_DATABASE_URL", "postgresql://u:s3cret@postgres/p?nonsense=s3cret"),
    ],
)
def test_a_wrong_url_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch, variable: str, value: str):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        read_settings(DatabaseSettings)
    assert str(refused.value).startswith(f"{variable}: ")
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_variable_in_the_code_is_in_the_table():
    table = settings_document()
    texts = [path.read_text() for folder in ("services", "shared") for path in (ROOT / folder).rglob("*.py")]
    used = {name for text in texts for name in re.findall(r"\bPIPEWRIGHT_[A-Z_]+[A-Z]\b", text)}
    assert len(used) > 10
    assert {name for name in used if f"`{name}`" not in table} == set()
