"""What the README shows is run as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.stack import API_KEY, Stack, clean_environment

README = Path(__file__).parents[2] / "README.md"
SOURCE = Path(__file__).parents[2]


def block(language: str, containing: str) -> str:
    """The one code block of this language that contains these words."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    [found] = [text for text in blocks if containing in text]
    return str(found)


def run(stack: Stack, command: list[str], folder: Path) -> str:
    """In a shell of its user: the virtual environment on the PATH, the key at hand."""
    environment = clean_environment() | stack.environment
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIPEWRIGHT_DATA_DIR": str(stack.data_dir),
        "KEY": API_KEY,
    }
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_curl_of_the_readme_answers_with_the_finished_run(stack: Stack, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    script = block("sh", "curl").replace("http://127.0.0.1:8080", stack.gateway)

    found = orjson.loads(run(stack, ["sh", "-ec", script], tmp_path))

    assert (found["status"], found["output"]) == ("completed", {"greet": {"text": "Hello, Grace!"}})


def test_plain_nats_program_of_the_readme_starts_two_runs(stack: Stack, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(block("python", "nats.connect"))

    reply, receipt = run(stack, [sys.executable, str(program)], tmp_path).splitlines()

    assert re.fullmatch(r"\{'run_id': '[0-9a-f-]{36}', 'status': 'running'\}", reply)
    assert re.fullmatch(r"RUN_REQUESTS \d+", receipt)


def test_commands_of_the_readme_work(stack: Stack, tmp_path: Path) -> None:
    shown = run(stack, ["sh", "-ec", block("sh", "--follow\npipewright runs list")], tmp_path)

    assert "Thank you" in shown or "Summary" in shown
    assert "wrong" not in shown


def test_own_pipeline_of_the_readme_runs(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "haiku.yaml").write_text(block("yaml", "# haiku.yaml"))

    shown = run(stack, ["sh", "-ec", block("sh", "pipewright apply haiku.yaml")], tmp_path)

    assert "haiku: created, version 1" in shown
    assert "RAIN: [demo model" in shown


def test_files_that_the_documents_name_exist() -> None:
    for document in (README, SOURCE / "ARCHITECTURE.md", SOURCE / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} names {target}"
