"""A system for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.logging import configure_logging
from tests.faults.system import System, system


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    configure_logging("tests", "ERROR", "console")


@pytest.fixture
async def faulty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Servers, proxies and services of its own for each test, since a fault leaves traces."""
    async with system(tmp_path_factory.mktemp("faults")) as started:
        yield started
