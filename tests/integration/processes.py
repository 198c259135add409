"""Commands and services as processes of their own, with exactly these settings, and what they said."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.eventually import eventually
from tests.integration.engine import SECRET
from tests.ledger import Ledger
from tests.ports import free_port
from tests.stack import PIPEWRIGHT, clean_environment

SERVICES = ("definition", "coordinator", "worker", "gateway")
API_KEY = "a-key-of-the-services-as-processes"


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
        assert await process.wait() == 0, path.read_text()


def asking(ledger: Ledger) -> dict[str, str]:
    """Settings of workers whose model, and whose other side, is the ledger."""
    return {
        "PIPEWRIGHT_LLM_PROVIDER": "ledger",
        "PIPEWRIGHT_LLM_URLS": f"ledger={ledger.url}/v1",
        "PIPEWRIGHT_ALLOW_ADDRESSES": f"127.0.0.1:{ledger.port}",
    }


@asynccontextmanager
async def serving_all(
    folder: Path, nats_url: str, database_url: str, settings: Mapping[str, str], own: Mapping[str, Mapping[str, str]]
) -> AsyncIterator[httpx.AsyncClient]:
    """One process of each service, with these settings and those of its `own`; a client of its REST API."""
    port = free_port()
    common = {
        "PIPEWRIGHT_NATS_URL": nats_url,
        "PIPEWRIGHT_DATABASE_URL": database_url,
        "PIPEWRIGHT_SECRET": SECRET,
        "PIPEWRIGHT_PORT": str(port),
        "PIPEWRIGHT_API_KEY": API_KEY,
        **settings,
    }
    async with AsyncExitStack() as stack:
        for name in SERVICES:
            arguments = (name, "--types", "text,llm,http_request") if name == "worker" else (name,)
            await stack.enter_async_context(serving(folder, *arguments, **common, **own.get(name, {})))
        api = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}/api/v3", headers={"authorization": f"Bearer {API_KEY}"}, timeout=30
            )
        )
        await eventually(lambda: _is_there(api), "every service")
        yield api


async def _is_there(api: httpx.AsyncClient) -> bool:
    try:
        answer = await api.get("/node_types")
    except httpx.TransportError:
        return False
    known = {one["node_type"] for one in answer.json()["node_types"]} if answer.status_code == 200 else set()
    return known >= {"text", "llm", "http_request"}


async def publish(api: httpx.AsyncClient, document: Mapping[str, Any]) -> None:
    assert (await api.post("/pipelines", json=document)).status_code == 201
    assert (await api.post(f"/pipelines/{document['slug']}/publish")).status_code == 200
