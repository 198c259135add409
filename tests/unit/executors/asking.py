"""Node types as a worker makes them, and what their nodes give or how they fail."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.executors.http_request.config import HttpRequestConfig
from services.executors.http_request.execute import HttpRequest
from services.executors.kit.addresses import read_allowed
from services.executors.kit.errors import NodeError
from services.executors.kit.node_type import NodeContext
from services.executors.kit.outbound import OutboundClient
from services.executors.settings import ExecutorSettings
from shared.settings import read_settings


def settings(**variables: str) -> ExecutorSettings:
    """As a worker reads them from exactly these variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("PIPEWRIGHT_") or name.endswith("_API_KEY"):
                patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        return read_settings(ExecutorSettings)


def context() -> NodeContext:
    return NodeContext("01890a5d-ac96-774b-bcce-b302099a8057", "n", 1)


class Asking:
    """Sends requests as the type http_request does."""

    def __init__(self, execute: HttpRequest) -> None:
        self._execute = execute
        self.metadata: dict[str, Any] = {}

    async def answer(self, url: str, **config: Any) -> dict[str, Any]:
        about = context()
        try:
            return await self._execute.execute(HttpRequestConfig(url=url, **config), about)
        finally:
            self.metadata = about.metadata

    async def failure(self, url: str, **config: Any) -> NodeError:
        with pytest.raises(NodeError) as failed:
            await self.answer(url, **config)
        return failed.value


@asynccontextmanager
async def asking(*allowed: str) -> AsyncIterator[Asking]:
    """A client that may reach these addresses besides public ones."""
    async with OutboundClient(read_allowed(allowed)) as client:
        yield Asking(HttpRequest(client))
