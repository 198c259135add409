"""Runs pip-audit on lock files: `audit.py PIP_AUDIT LOCK...`.

Ends with 1 when a vulnerability is known, and with 0 when none is, or when the service cannot be reached: then it says
so, since a package that nobody could ask about is not a package without vulnerabilities.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

#: Nothing is installed, and every requirement is in the file.
OPTIONS = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json")


def audit(program: str, lock: str) -> bool:
    """Say what is known of the packages of one lock file; false when there is a vulnerability among them."""
    done = subprocess.run([program, *OPTIONS, "-r", lock], capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        words = done.stderr.strip().splitlines() or ["it said nothing"]
        say(f"skipped: cannot reach the vulnerability service for {lock} ({words[-1][:200]})")
        return True
    unknown = [package["name"] for package in packages if "vulns" not in package]
    found = [(package, one) for package in packages for one in package.get("vulns", [])]
    if len(unknown) == len(packages):
        say(f"skipped: cannot reach a vulnerability service that knows the packages of {lock}")
    else:
        say(f"{lock}: {len(found)} known vulnerabilities in {len(packages) - len(unknown)} packages")
        if unknown:
            say(f"  not audited: {', '.join(unknown)}")
    for package, one in found:
        fixed = ", ".join(one.get("fix_versions", [])) or "nothing yet"
        say(f"  {package['name']} {package['version']}: {one['id']}, fixed in {fixed}")
    return not found


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # a command


if __name__ == "__main__":
    results = [audit(sys.argv[1], lock) for lock in sys.argv[2:]]
    sys.exit(0 if all(results) else 1)
