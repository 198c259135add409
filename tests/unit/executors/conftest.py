"""Servers on loopback and clients; clients serve a module, since each reads all certificates of the system."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.http_server import Server, serving
from tests.unit.executors.asking import Asking, asking
from tests.unit.executors.models import Model, model


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[Asking]:
    """May reach servers on loopback."""
    async with asking("127.0.0.1") as made:
        yield made


@pytest.fixture(scope="module")
async def outside() -> AsyncIterator[Asking]:
    """May reach public addresses only."""
    async with asking() as made:
        yield made


@pytest.fixture(scope="module")
async def one_model() -> AsyncIterator[Model]:
    async with model() as made:
        yield made


@pytest.fixture
def llm(one_model: Model) -> Model:
    """Says Hello unless told otherwise."""
    one_model.begin()
    return one_model
