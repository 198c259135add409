"""`down` and `status`: what runs on this machine is shown and stopped, without loading what it is made of."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from services.cli.local.state import is_locked, live_status
from services.cli.output import EXIT_UNAVAILABLE, OUT, fail

#: How long `down` waits for an orderly end.
STOP_TIMEOUT_S = 60.0


def down(data_dir: Path) -> None:
    """Stop the stack of this data directory and wait for its end."""
    status = live_status(data_dir)
    if status is None:
        OUT.print(f"nothing runs in {data_dir}")
        return
    with suppress(ProcessLookupError):
        # Where the supervisor was killed, its services are ending by themselves.
        os.kill(status["pid"], signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while is_locked(data_dir):
        if time.monotonic() > deadline:
            raise fail(f"the stack (process {status['pid']}) did not stop within {STOP_TIMEOUT_S:.0f} s.")
        time.sleep(0.05)
    OUT.print("stopped; the data is kept for the next start")


def require_status(data_dir: Path) -> dict[str, Any]:
    status = live_status(data_dir)
    if status is None:
        raise fail(f"nothing runs in {data_dir}. Start it with 'pipewright up'.", EXIT_UNAVAILABLE)
    return {name: status[name] for name in ("gateway", "nats", "postgres", "services")}
