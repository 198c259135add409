"""`make audit`: what pip-audit says of the lock files, and that nobody's silence counts as good news."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[2] / "deploy" / "supply" / "audit.py"
GOOD = {"name": "good", "version": "1.0", "vulns": []}
BAD = {"name": "bad", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI"}


def audited(folder: Path, output: str, code: int) -> tuple[int, str]:
    """With another program in the place of pip-audit, which says this."""
    program = folder / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\necho 'Connection refused' >&2\nexit {code}\n")
    program.chmod(0o755)
    done = subprocess.run([sys.executable, AUDIT, program, "a.lock"], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([GOOD], 0, "a.lock: 0 known vulnerabilities in 1 packages"),
        ([GOOD, BAD], 1, "bad 2.0: PYSEC-1, fixed in 2.1"),
        ([GOOD, UNKNOWN], 0, "not audited: ours"),
        ([UNKNOWN, BAD], 1, "a.lock: 1 known vulnerabilities in 1 packages"),
        ([UNKNOWN], 0, "skipped: cannot reach a vulnerability service"),
    ],
)
def test_what_is_known_decides(tmp_path: Path, packages: list[dict[str, object]], code: int, words: str):
    found = audited(tmp_path, json.dumps({"dependencies": packages, "fixes": []}), code)
    assert (found[0], words in found[1]) == (code, True), found[1]


def test_a_service_that_cannot_be_reached_is_told_and_fails_nothing(tmp_path: Path):
    code, words = audited(tmp_path, "", 1)
    assert code == 0
    assert words == "skipped: cannot reach the vulnerability service for a.lock (Connection refused)\n"
