"""The stack of docker-compose.yml, built from a copy of this checkout, and a load that starts runs on it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.eventually import eventually
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
MODEL = Path(__file__).with_name("model.yml")
PROJECT = "pipewright-test"
#: Waits of a client whose request was not answered.
AGAIN_S = 0.2
PIPELINE: dict[str, Any] = {
    "name": "Asked",
    "slug": "asked",
    "nodes": [
        {"key": "topic", "type": "text", "config": {"content": "{{ input.topic }}"}},
        {"key": "ask", "type": "llm", "config": {"prompt": "Write of {{ nodes.topic.text }}", "model": "demo"}},
        {"key": "end", "type": "text", "config": {"content": "{{ nodes.ask.text }}"}},
    ],
    "edges": [{"source": "topic", "target": "ask"}, {"source": "ask", "target": "end"}],
}


@dataclass
class Composed:
    """Containers of a project of their own; `folder` holds the copy and its .env."""

    folder: Path
    port: int = field(default_factory=free_port)

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[Composed]:
        copy_checkout(folder)
        made = cls(folder)
        try:
            made.compose("up", "--detach", "--build", "--wait")
            yield made
        finally:
            made.compose("down", "--volumes", "--timeout", "5")

    def compose(self, *arguments: str) -> str:
        """Run `docker compose ...`; raises with what it said when it fails."""
        files = ("-f", "docker-compose.yml", "-f", str(MODEL))
        done = subprocess.run(
            ["docker", "compose", "-p", PROJECT, *files, *arguments],
            cwd=self.folder,
            env=os.environ | {"PIPEWRIGHT_PORT": str(self.port)},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"docker compose {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    async def do(self, *arguments: str) -> str:
        """The same while a load goes on."""
        return await asyncio.to_thread(self.compose, *arguments)

    @asynccontextmanager
    async def api(self) -> AsyncIterator[httpx.AsyncClient]:
        headers = {"authorization": f"Bearer {self._key}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}/api/v3", headers=headers, timeout=30
        ) as client:
            yield client

    @property
    def _key(self) -> str:
        lines = (self.folder / ".env").read_text().splitlines()
        return next(line for line in lines if line.startswith("PIPEWRIGHT_API_KEY=")).partition("=")[2]


def copy_checkout(folder: Path) -> None:
    """What git knows of, and a .env of its own."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    subprocess.run(["sh", "deploy/make-env.sh"], cwd=folder, check=True)


@dataclass
class Load:
    """Starts runs of one pipeline, a few every second, and asks again until it is answered."""

    api: httpx.AsyncClient
    run_ids: list[str] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)

    async def start(self, count: int) -> None:
        """All at once."""
        await asyncio.gather(*(self._start(f"{len(self.run_ids)}-{number}") for number in range(count)))

    async def keep_starting(self, rate: float) -> None:
        """Until it is cancelled; what was asked for is answered first."""
        async with asyncio.TaskGroup() as group:
            number = 0
            while True:
                group.create_task(self._start(f"kept-{id(self)}-{number}"))
                number += 1
                try:
                    await asyncio.sleep(1 / rate)
                except asyncio.CancelledError:
                    break

    async def _start(self, key: str) -> None:
        while True:
            try:
                answer = await self.api.post(
                    "/pipelines/asked/execute",
                    json={"input": {"topic": f"rain {key}"}},
                    headers={"idempotency-key": f"{id(self)}-{key}"},
                )
            except httpx.HTTPError as error:
                self.unanswered[type(error).__name__] += 1
            else:
                if answer.status_code == 202:
                    self.run_ids.append(answer.json()["id"])
                    return
                assert answer.status_code in {429, 502, 503, 504}, answer.text
                self.unanswered[str(answer.status_code)] += 1
            await asyncio.sleep(AGAIN_S)

    async def ends(self, timeout_s: float = 180) -> Counter[str]:
        """How many ended how, once all have."""
        statuses: dict[str, str] = {}

        async def all_ended() -> bool:
            for run_id in self.run_ids:
                if run_id not in statuses:
                    run = (await self.api.get(f"/pipeline_runs/{run_id}")).json()
                    if run["status"] in {"pending", "running"}:
                        return False
                    statuses[run_id] = run["status"]
            return True

        await eventually(all_ended, f"the ends of {len(self.run_ids)} runs", timeout_s=timeout_s)
        return Counter(statuses.values())

    async def workers(self, node_key: str) -> Counter[str]:
        """Which worker did this node, over all runs."""
        found: Counter[str] = Counter()
        for run_id in self.run_ids:
            answer = await self.api.get(f"/pipeline_runs/{run_id}", params={"include": "node_results"})
            [result] = [one for one in answer.json()["node_results"] if one["node_key"] == node_key]
            found[result["metadata"]["worker"]] += 1
        return found
