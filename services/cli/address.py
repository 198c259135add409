"""Where the commands find a running Pipewright."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from services.cli.local.state import STATUS_FILE, load_state, read_status
from services.cli.output import EXIT_UNAVAILABLE, fail, told
from shared.client import PipewrightClient

DEFAULT_DATA_DIR = Path(".pipewright")

Value = TypeVar("Value")


def data_dir_of(given: Path | None) -> Path:
    return (given or Path(os.environ.get("PIPEWRIGHT_DATA_DIR", DEFAULT_DATA_DIR))).absolute()


def nats_url_of(data_dir: Path) -> str:
    """`PIPEWRIGHT_NATS_URL`, else the stack that was started in the data directory."""
    url = os.environ.get("PIPEWRIGHT_NATS_URL")
    if url:
        return url
    status = read_status(data_dir)
    if status is None:
        raise fail(
            f"nothing was started in {data_dir}. Start it with 'pipewright up', or set PIPEWRIGHT_NATS_URL.",
            EXIT_UNAVAILABLE,
        )
    return str(status["nats"])


def database_url_of(data_dir: Path) -> str:
    url = os.environ.get("PIPEWRIGHT_DATABASE_URL")
    if url:
        return url
    if not (data_dir / STATUS_FILE).exists():
        raise fail(
            f"nothing was started in {data_dir}. Start it with 'pipewright up', or set PIPEWRIGHT_DATABASE_URL.",
            EXIT_UNAVAILABLE,
        )
    return load_state(data_dir).database_url


def with_client(data_dir: Path | None, use: Callable[[PipewrightClient], Awaitable[Value]]) -> Value:
    """Connect, use the client, close; what goes wrong is told in words.

    Over REST when `PIPEWRIGHT_URL` is set, with `PIPEWRIGHT_API_KEY`; else over NATS.
    """
    url = os.environ.get("PIPEWRIGHT_URL") or nats_url_of(data_dir_of(data_dir))

    async def main() -> Value:
        async with PipewrightClient.connect(url, os.environ.get("PIPEWRIGHT_API_KEY")) as client:
            return await use(client)

    return told(main(), asyncio.run)
