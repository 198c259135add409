"""The command line as a whole: what it offers, and what it says to a wrong call."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.cli.output import EXIT_USAGE

COMMANDS = (
    "up", "down", "status", "apply", "run", "runs", "pipelines", "types", "doctor", "serve", "migrate", "topology",
)  # fmt: skip


def call(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str):
    code, words = call(command, "--help")
    assert (code, f"Usage: root {command}" in words) == (0, True)


def test_an_unknown_service_names_the_known_ones():
    code, words = call("serve", "gatway")
    assert (code, "Known are: gateway, definition, coordinator, worker" in words) == (EXIT_USAGE, True)


def test_a_worker_is_told_what_to_serve():
    code, words = call("serve", "worker")
    assert (code, "a worker needs --types, for example --types llm" in words) == (EXIT_USAGE, True)


def test_a_wrong_number_in_the_environment_is_told_of_its_own_command_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPEWRIGHT_NATS_REPLICAS", "many")
    assert call("migrate", "--help")[0] == 0
    assert call("topology")[0] == EXIT_USAGE
