"""Real NATS and Postgres: one Postgres a test run with a database a test, one NATS server a test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from services.cli.local.state import LocalState
from services.cli.setup import make_topology
from shared.logging import configure_logging
from tests.integration.engine import Engine
from tests.integration.steps import Hands, stepping
from tests.servers import make_database, make_template, nats_server, postgres_server

_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    configure_logging("tests", "ERROR", "console")


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalState]:
    async with postgres_server(tmp_path_factory.mktemp("postgres")) as state:
        await make_template(state)
        yield state


@pytest.fixture
async def database_url(postgres: LocalState) -> str:
    return await make_database(postgres, f"test_{next(_numbers)}")


@pytest.fixture
async def empty_nats_url(tmp_path: Path) -> AsyncIterator[str]:
    """A server without any stream."""
    async with nats_server(tmp_path) as url:
        yield url


@pytest.fixture
async def nats_url(empty_nats_url: str) -> str:
    """A server with our streams and buckets."""
    await make_topology(empty_nats_url)
    return empty_nats_url


@pytest.fixture(scope="module")
async def nats_module(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server with our streams and buckets, for all tests of a module."""
    async with nats_server(tmp_path_factory.mktemp("nats")) as url:
        await make_topology(url)
        yield url


@pytest.fixture(scope="module")
async def postgres_module(postgres: LocalState) -> str:
    """A database for all tests of a module."""
    return await make_database(postgres, f"test_{next(_numbers)}")


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    connected = await nats.connect(nats_url)
    yield connected
    await connected.close()


@pytest.fixture
async def engine(nats_url: str, database_url: str) -> AsyncIterator[Engine]:
    """A definition service and a coordinator in this process, and a worker that the test plays."""
    async with Engine.started(nats_url, database_url) as started:
        yield started


@pytest.fixture
async def hands(client: Client, nats_url: str) -> AsyncIterator[Hands]:
    async with stepping(client, nats_url) as made:
        yield made
