"""docs/api.md: every route is there, and every curl works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.test_openapi import DOCUMENT
from tests.stack import API_KEY, Stack, clean_environment

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
#: Its exit code is not 0 for an answer of 400 or more.
CURL = 'curl() { command curl --fail-with-body "$@"; }\n'


def test_every_route_is_in_the_document() -> None:
    written = set(re.findall(r"^### ([A-Z]+ /\S+)$", TEXT, re.MULTILINE))
    known = {
        f"{method.upper()} {path.removeprefix('/api/v3')}"
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
    }
    assert written == known


def test_every_curl_of_the_document_works(stack: Stack, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    script = CURL + "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL))
    script = script.replace("http://127.0.0.1:8080", stack.gateway)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=clean_environment() | {"KEY": API_KEY, "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert '"output":{"short":{"text":"In short: messag..."}}' in done.stdout
    assert "event: end" in done.stdout
