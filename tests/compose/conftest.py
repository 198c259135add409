"""One stack for all tests of this folder; they say why when they are skipped."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.compose.composed import PIPELINE, Composed, Load


@pytest.fixture(scope="session")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    if shutil.which("docker") is None:
        pytest.skip("there is no docker command")
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    with Composed.started(tmp_path_factory.mktemp("composed")) as started:
        yield started


@pytest.fixture
async def load(composed: Composed) -> AsyncIterator[Load]:
    """On a pipeline that asks the model."""
    async with composed.api() as api:
        if (await api.get("/pipelines/asked")).status_code == 404:
            assert (await api.post("/pipelines", json=PIPELINE)).status_code == 201
            assert (await api.post("/pipelines/asked/publish")).status_code == 200
        yield Load(api)
