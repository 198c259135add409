"""Where the commands find a running Pipewright."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from services.cli.local.state import live_status
from services.cli.output import EXIT_UNAVAILABLE, EXIT_USAGE, fail, told

if TYPE_CHECKING:
    from shared.client import PipewrightClient

DEFAULT_DATA_DIR = Path(".pipewright")

Value = TypeVar("Value")


def data_dir_of(given: Path | None) -> Path:
    return (given or Path(os.environ.get("PIPEWRIGHT_DATA_DIR", DEFAULT_DATA_DIR))).absolute()


def nats_url_of(data_dir: Path) -> str:
    """`PIPEWRIGHT_NATS_URL`, else that of the stack that runs in the data directory."""
    url = os.environ.get("PIPEWRIGHT_NATS_URL")
    if not url:
        return _of_stack(data_dir, "nats", "PIPEWRIGHT_NATS_URL")
    from shared.bus.address import read_address
    from shared.settings import check_nats_url

    _check("nats_url", check_nats_url, url)
    _check("nats_url", read_address, url)
    return url


def database_url_of(data_dir: Path) -> str:
    """`PIPEWRIGHT_DATABASE_URL`, else that of the stack that runs in the data directory."""
    url = os.environ.get("PIPEWRIGHT_DATABASE_URL")
    if not url:
        return _of_stack(data_dir, "postgres", "PIPEWRIGHT_DATABASE_URL")
    from shared.settings import connection_parameters

    _check("database_url", connection_parameters, url)
    return url


def _of_stack(data_dir: Path, server: str, variable: str) -> str:
    status = live_status(data_dir)
    if status is None:
        raise fail(f"nothing runs in {data_dir}. Start it with 'pipewright up', or set {variable}.", EXIT_UNAVAILABLE)
    return str(status[server])


def _check(field: str, read: Callable[[str], object], url: str) -> None:
    """Refuses in the words in which a service would."""
    try:
        read(url)
    except ValueError as error:
        from shared.settings import DatabaseSettings, describe

        raise fail(describe(DatabaseSettings, field, str(error)), EXIT_USAGE) from error


def _gateway_url() -> str | None:
    url = os.environ.get("PIPEWRIGHT_URL") or None
    if url is not None and not url.startswith(("http://", "https://")):
        example = "Example: PIPEWRIGHT_URL=https://pipewright.example.com"
        raise fail(f"PIPEWRIGHT_URL: does not begin with http:// or https://. {example}", EXIT_USAGE)
    return url


def with_client(data_dir: Path | None, use: Callable[[PipewrightClient], Awaitable[Value]]) -> Value:
    """Connect, use the client, close; what goes wrong is told in words.

    Over REST when `PIPEWRIGHT_URL` is set, with `PIPEWRIGHT_API_KEY`; else over NATS.
    """
    url = _gateway_url() or nats_url_of(data_dir_of(data_dir))
    from shared.client import PipewrightClient

    async def main() -> Value:
        async with PipewrightClient.connect(url, os.environ.get("PIPEWRIGHT_API_KEY")) as client:
            return await use(client)

    return told(main(), asyncio.run)
