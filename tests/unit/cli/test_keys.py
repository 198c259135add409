"""`keys`: what it refuses before it looks for a database, and how it shows keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from services.cli.commands.keys import _show, _state, _time
from services.cli.main import app
from services.cli.output import EXIT_UNAVAILABLE, EXIT_USAGE
from services.gateway.api_key import new_secret
from shared.contracts.api_keys import ApiKey, MadeApiKey, Scope

NOW = datetime.now(UTC)


def call(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["keys", *words], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def key(**more: object) -> ApiKey:
    return ApiKey.model_validate(
        {"id": uuid4(), "name": "nightly", "scopes": ["runs:start"], "created_at": NOW, **more}
    )


@pytest.mark.parametrize("command", ["create", "list", "revoke"])
def test_every_command_explains_itself(command: str):
    code, words = call(command, "--help")
    assert (code, f"Usage: root keys {command}" in words) == (0, True)


def test_help_names_every_scope():
    _, words = call("create", "--help")
    plain = " ".join(words.replace("│", " ").split())
    assert [scope for scope in Scope if scope not in plain] == []


def test_a_key_without_a_scope_is_refused():
    code, words = call("create", "nightly")
    assert (code, "--scope" in words) == (EXIT_USAGE, True)


def test_an_unknown_scope_names_the_known_ones():
    code, words = call("create", "nightly", "--scope", "runs:begin")
    assert code == EXIT_USAGE
    assert "--scope runs:begin: there is no such scope. Known are: pipelines:read, " in words


@pytest.mark.parametrize("name", ["", "x" * 201, "a\x1b[2Jb", "line\nbreak"])
def test_a_name_that_would_harm_the_list_is_refused(name: str):
    code, words = call("create", name, "--scope", "admin")
    assert (code, "NAME: choose 1 to 200 characters" in words) == (EXIT_USAGE, True)


@pytest.mark.parametrize("days", ["0", "-1", "3651", "soon"])
def test_a_wrong_number_of_days_is_refused(days: str):
    assert call("create", "nightly", "--scope", "admin", "--expires-in-days", days)[0] == EXIT_USAGE


def test_what_is_no_id_is_refused():
    assert call("revoke", "nightly")[0] == EXIT_USAGE


@pytest.mark.parametrize("words", [("list",), ("revoke", str(uuid4())), ("create", "x", "--scope", "admin")])
def test_without_a_stack_it_says_what_to_start(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PIPEWRIGHT_DATABASE_URL", raising=False)
    code, said = call(*words, "--data-dir", str(tmp_path))
    assert (code, "pipewright up" in said) == (EXIT_UNAVAILABLE, True)


def test_without_an_answer_from_postgres_it_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPEWRIGHT_DATABASE_URL", "postgresql://pipewright:hidden-word@127.0.0.1:1/pipewright")
    code, said = call("list")
    assert (code, "Postgres does not answer" in said, "hidden-word" in said) == (EXIT_UNAVAILABLE, True, False)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "good"),
        ({"expires_at": NOW + timedelta(days=1)}, "good"),
        ({"expires_at": NOW - timedelta(days=1)}, "expired"),
        ({"revoked_at": NOW}, "revoked"),
        ({"revoked_at": NOW, "expires_at": NOW - timedelta(days=1)}, "revoked"),
    ],
)
def test_the_list_says_what_a_key_is_worth(more: dict[str, object], word: str):
    assert word in _state(key(**more))


def test_times_are_shown_in_utc():
    assert _time(datetime(2024, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))) == "2023-12-31 23:30:00"


def test_a_made_key_is_shown_in_one_piece(capsys: pytest.CaptureFixture[str]):
    made = MadeApiKey(**key(name="[bold]x[/]").model_dump(), key=new_secret())
    _show(made)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"key      {made.key}"
    assert "this once" in shown[-1]
