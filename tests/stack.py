"""A whole stack as its users start it, by the command line, in a directory of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.ports import free_port

#: The command of this virtual environment.
PIPEWRIGHT = str(Path(sys.executable).with_name("pipewright"))
API_KEY = "test-key-of-the-local-stack"


@dataclass
class Stack:
    """Started by `start`, ended by `stop`; the data directory is the caller's to remove."""

    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    #: From the command to its return.
    ready_after_s: float = 0.0

    def start(self) -> Stack:
        began = time.monotonic()
        done = self.command("up", "--detach", "--port", str(self.port), *self.arguments)
        self.ready_after_s = time.monotonic() - began
        if done.returncode:
            raise RuntimeError(f"the stack did not start:\n{done.stdout}{done.stderr}\n{self.logs()}")
        return self

    def stop(self) -> None:
        self.command("down")

    def __enter__(self) -> Stack:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def command(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `pipewright ...` against this stack."""
        environment = clean_environment() | {"PIPEWRIGHT_API_KEY": API_KEY, "COLUMNS": "200"} | self.environment
        command = [PIPEWRIGHT, *arguments]
        if "--data-dir" not in arguments:
            command += ["--data-dir", str(self.data_dir)]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=180, input=stdin, check=False
        )

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.command("status", "--json").stdout)
        return found

    def pids(self, prefix: str = "") -> dict[str, int]:
        """Process ids by name, of the services whose names begin so."""
        return {part["name"]: part["pid"] for part in self.status()["services"] if part["name"].startswith(prefix)}

    def supervisor_pid(self) -> int:
        found: int = orjson.loads((self.data_dir / "status.json").read_bytes())["pid"]
        return found

    def kill(self, prefix: str) -> None:
        """kill -9, as if its machine had gone."""
        for pid in self.pids(prefix).values():
            os.kill(pid, signal.SIGKILL)

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def logs(self) -> str:
        """The end of every log, for a failure's message."""
        texts = []
        for path in sorted((self.data_dir / "logs").glob("*.log")):
            texts.append(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}")
        return "\n".join(texts)

    def remove(self) -> None:
        shutil.rmtree(self.data_dir, ignore_errors=True)


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of Pipewright and keys of providers."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PIPEWRIGHT_") and not name.endswith("_API_KEY")
    }
