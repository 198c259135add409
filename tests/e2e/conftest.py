"""One stack for all end-to-end tests, on servers from wheels or in containers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from shared.client import PipewrightClient
from tests.e2e.containers import servers_in_containers
from tests.ledger import Ledger, ledger
from tests.stack import API_KEY, Stack

#: The credentials of a provider that quotes them.
MODEL_USER = "operator:providersecret"
#: Whose pages may call the gateway of the tests.
ORIGIN = "https://app.example.com"


@pytest.fixture(scope="session", name="ledger")
def _ledger() -> Iterator[Ledger]:
    with ledger() as server:
        yield server


@pytest.fixture(
    scope="session",
    params=[pytest.param("wheels", id="wheels"), pytest.param("containers", marks=pytest.mark.containers)],
)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ledger: Ledger) -> Iterator[Stack]:
    """All services as `pipewright up` starts them; the http worker has 4 slots and may reach the ledger."""
    data_dir: Path = tmp_path_factory.mktemp("stack")
    environment = {
        "PIPEWRIGHT_ALLOW_ADDRESSES": f"127.0.0.1:{ledger.port}",
        "PIPEWRIGHT_SLOTS": "http_request=4",
        # A provider that a test asks by name; the others use the demo model.
        "PIPEWRIGHT_LLM_URLS": f"ledger=http://{MODEL_USER}@127.0.0.1:{ledger.port}/v1",
        "PIPEWRIGHT_CORS_ORIGINS": ORIGIN,
    }
    if request.param == "containers":
        with servers_in_containers() as servers, Stack(data_dir, environment | servers) as started:
            yield started
    else:
        with Stack(data_dir, environment) as started:
            yield started


@pytest.fixture(scope="session")
async def api(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """The REST gateway, with a good key."""
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(base_url=f"{stack.gateway}/api/v3", headers=headers, timeout=90) as client:
        yield client


@pytest.fixture(scope="session")
def nats_url(stack: Stack) -> str:
    return str(stack.status()["nats"])


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[PipewrightClient]:
    """The client of internal services."""
    async with PipewrightClient.connect(nats_url) as connected:
        yield connected
