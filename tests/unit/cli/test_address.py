"""Where commands find a running Pipewright."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.cli.address import data_dir_of, database_url_of, nats_url_of, with_client
from services.cli.local.state import STATE_FILE, STATUS_FILE, LocalState, load_state, save_state, take_lock
from services.cli.output import EXIT_UNAVAILABLE, EXIT_USAGE
from shared.client import PipewrightClient


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIPEWRIGHT_DATA_DIR", "PIPEWRIGHT_NATS_URL", "PIPEWRIGHT_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def started(tmp_path: Path) -> LocalState:
    """A stack that was started in `tmp_path` on somebody else's servers, and was stopped since."""
    state = LocalState(nats_port=4333, postgres_port=5433)
    save_state(tmp_path, state)
    (tmp_path / STATUS_FILE).write_text('{"nats": "nats://from-status", "postgres": "postgresql://from-status"}')
    return state


@pytest.fixture
def running(tmp_path: Path, started: LocalState) -> Iterator[LocalState]:
    """That stack while it runs."""
    lock = take_lock(tmp_path)
    assert lock is not None
    yield started
    os.close(lock)


def test_the_data_directory_that_is_given_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PIPEWRIGHT_DATA_DIR", "/other")
    assert data_dir_of(tmp_path) == tmp_path


def test_the_environment_names_the_data_directory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPEWRIGHT_DATA_DIR", "/other")
    assert data_dir_of(None) == Path("/other")


def test_else_the_data_is_where_the_command_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert data_dir_of(None) == tmp_path / ".pipewright"


def test_the_environment_names_the_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, started: LocalState):
    monkeypatch.setenv("PIPEWRIGHT_NATS_URL", "nats://there")
    monkeypatch.setenv("PIPEWRIGHT_DATABASE_URL", "postgresql://there")
    assert (nats_url_of(tmp_path), database_url_of(tmp_path)) == ("nats://there", "postgresql://there")


def test_else_the_servers_of_the_stack_that_runs_in_the_data_directory_are_used(tmp_path: Path, running: LocalState):
    assert (nats_url_of(tmp_path), database_url_of(tmp_path)) == ("nats://from-status", "postgresql://from-status")


@pytest.mark.parametrize("find", [nats_url_of, database_url_of], ids=["NATS", "Postgres"])
def test_the_servers_of_a_stack_that_was_stopped_are_not_asked(
    find: Callable[[Path], str], tmp_path: Path, started: LocalState, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as caught:
        find(tmp_path)
    assert caught.value.code == EXIT_UNAVAILABLE
    assert f"nothing runs in {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("find", "variable", "url"),
    [
        (nats_url_of, "PIPEWRIGHT_NATS_URL", "nats://there:4222?x=1"),
        (nats_url_of, "PIPEWRIGHT_NATS_URL", "tls://there:4222?ca=/nowhere/ca.pem"),
        (nats_url_of, "PIPEWRIGHT_NATS_URL", "there"),
        (database_url_of, "PIPEWRIGHT_DATABASE_URL", "there"),
        (database_url_of, "PIPEWRIGHT_DATABASE_URL", "postgresql://me:hidden@[::1/x"),
    ],
)
def test_an_address_that_cannot_be_used_is_a_wrong_command_line(
    find: Callable[[Path], str],
    variable: str,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv(variable, url)
    with pytest.raises(SystemExit) as caught:
        find(tmp_path)
    words = capsys.readouterr().err
    assert caught.value.code == EXIT_USAGE
    assert f"{variable}: " in words
    assert "hidden" not in words


def test_the_address_of_a_gateway_begins_with_its_scheme(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PIPEWRIGHT_URL", "pipewright.example.com")
    with pytest.raises(SystemExit) as caught:
        with_client(None, PipewrightClient.list_runs)
    assert caught.value.code == EXIT_USAGE
    assert "PIPEWRIGHT_URL: does not begin with http:// or https://. Example: " in capsys.readouterr().err


@pytest.mark.parametrize("find", [nats_url_of, database_url_of], ids=["NATS", "Postgres"])
def test_where_nothing_was_started_the_words_say_what_to_do(
    find: Callable[[Path], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as caught:
        find(tmp_path)
    assert caught.value.code == EXIT_UNAVAILABLE
    assert "Start it with 'pipewright up', or set PIPEWRIGHT_" in capsys.readouterr().err


def test_what_the_stack_keeps_is_readable_by_its_user_alone(tmp_path: Path, started: LocalState):
    assert stat.S_IMODE((tmp_path / STATE_FILE).stat().st_mode) == 0o600


def test_the_next_start_has_the_same_passwords_and_keys(tmp_path: Path, started: LocalState):
    assert load_state(tmp_path) == started


def test_two_installations_have_different_secrets():
    first, second = LocalState(), LocalState()
    assert {first.secret, first.api_key, first.nats_password}.isdisjoint(
        {second.secret, second.api_key, second.nats_password}
    )
