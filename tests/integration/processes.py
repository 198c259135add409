"""Commands and services as processes of their own, with exactly these settings, and what they said."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.eventually import eventually
from tests.stack import PIPEWRIGHT, clean_environment


def command(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `pipewright ...` to its end."""
    return subprocess.run(
        [PIPEWRIGHT, *arguments],
        env=clean_environment() | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass
class Service:
    """A process and its log."""

    process: asyncio.subprocess.Process
    path: Path

    def lines(self, event: str) -> list[dict[str, Any]]:
        found = [orjson.loads(line) for line in self.path.read_bytes().splitlines() if line.startswith(b"{")]
        return [line for line in found if line["event"] == event]

    async def tells(self, event: str, times: int = 1) -> None:
        await eventually(lambda: len(self.lines(event)) == times, f"'{event}' in the log of {self.path.stem}")

    def signal(self) -> None:
        self.process.send_signal(signal.SIGUSR1)


@asynccontextmanager
async def serving(folder: Path, *arguments: str, **settings: str) -> AsyncIterator[Service]:
    """`pipewright serve ...` until it is left; it must end in order then."""
    path = folder / f"{arguments[0]}.log"
    with path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            PIPEWRIGHT, "serve", *arguments, env=clean_environment() | settings, stdout=log, stderr=log
        )
    try:
        yield Service(process, path)
    finally:
        process.terminate()
        # The gateway's server ends by the signal itself.
        assert await process.wait() in (0, -signal.SIGTERM), path.read_text()
