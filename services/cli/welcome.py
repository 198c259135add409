"""What a new user sees first: the examples are loaded, one of them runs, and the addresses are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from services.executors.registry import BUILT_IN
from shared.client import PipewrightClient
from shared.contracts.runs import Run
from shared.documents import parse

TYPES_TIMEOUT_S = 30.0
RUN_TIMEOUT_S = 30.0
GREETING = "greeting"


def examples_folder() -> Path:
    """Beside the code when installed, at the top of a checkout."""
    installed = Path(__file__).parent / "examples"
    return installed if installed.exists() else Path(__file__).parent.parent.parent / "examples"


def read_examples(variables: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Every example with its file's name; `@NAME@` in a file stands for an address of this installation."""
    found = []
    for path in sorted(examples_folder().glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        for name, value in variables.items():
            text = text.replace(f"@{name}@", value)
        found.append((path.name, parse(text)))
    return found


async def wait_for_types(client: PipewrightClient) -> None:
    """Until a worker of every built-in type was heard of."""
    async with asyncio.timeout(TYPES_TIMEOUT_S):
        while True:
            online = {kind.node_type for kind in await client.node_types() if kind.is_online}
            if online.issuperset(BUILT_IN):
                return
            await asyncio.sleep(0.02)


async def load_examples(nats_url: str, variables: dict[str, str]) -> None:
    async with PipewrightClient.connect(nats_url) as client:
        await wait_for_types(client)
        for _, document in read_examples(variables):
            await client.apply(document)


async def run_greeting(nats_url: str) -> Run:
    async with PipewrightClient.connect(nats_url) as client:
        started = await client.run(GREETING, {"name": "Ada", "language": "English"})
        return await client.wait(started.run_id, RUN_TIMEOUT_S)


def welcome(nats_url: str, variables: dict[str, str], result: Path) -> None:
    """Load the examples, run one, and leave its output in `result`."""

    async def main() -> None:
        await load_examples(nats_url, variables)
        run = await run_greeting(nats_url)
        result.write_text(run.model_dump_json())

    asyncio.run(main())
