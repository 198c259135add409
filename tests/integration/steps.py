"""A node type that does as it is told, in a worker of this process, and hands that give it work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.executors.app import working
from services.executors.kit.errors import PermanentNodeError, TransientNodeError
from services.executors.kit.node_config import NodeConfig
from services.executors.kit.node_type import NodeContext, NodeType
from services.executors.settings import ExecutorSettings
from shared.bus.connection import Bus
from shared.bus.topology import ensure_node_type_durable
from shared.clock import new_id
from shared.contracts import subjects
from tests.eventually import eventually


class StepConfig(NodeConfig):
    do: str
    value: Any = None


class Steps:
    """A node type that does what its config says, and counts."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gate = asyncio.Event()

    async def execute(self, config: StepConfig, context: NodeContext) -> dict[str, Any]:
        self.begun.append(context.node_key)
        match config.do:
            case "wait":
                await self.gate.wait()
            case "compute":
                # The loop of this process stands still meanwhile.
                threading.Event().wait(0.1)
            case "stubborn":
                while not self.gate.is_set():
                    with suppress(asyncio.CancelledError):
                        await self.gate.wait()
            case "faulty":
                raise TransientNodeError("busy", "It is busy.", retry_after_s=object())  # type: ignore[arg-type]
            case "transient":
                raise TransientNodeError("busy", "It is busy.", retry_after_s=7)
            case "permanent":
                raise PermanentNodeError("wrong", "It is wrong.")
            case "fault":
                raise ZeroDivisionError("with a secret in it")
            case "odd":
                return {"value": float("nan")}
            case "zero":
                return {"value": "a\u0000b"}
            case "huge":
                return {"value": "x" * 17_000_000}
            case "large":
                return {"value": "x" * 700_000}
        return {"value": config.value}


class Hands:
    """Publishes work and hears results."""

    def __init__(self, client: Client, steps: Steps) -> None:
        self.client, self.steps = client, steps
        self.results: dict[str, dict[str, Any]] = {}
        self.run_id = str(new_id())

    async def hear(self, message: Msg) -> None:
        for result in orjson.loads(message.data)["results"]:
            self.results[result["node_key"]] = result

    def ready(self, key: str, config: dict[str, Any]) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "node_key": key,
            "node_type": "steps",
            "attempt": 1,
            "dispatch": 1,
            "token": "t",
            "config": config,
            "inputs": {"input": {"name": "Ada"}},
            "run_started_at": datetime.now(UTC),
            "timeout_s": 30.0,
        }

    async def send(self, key: str, config: dict[str, Any], **more: Any) -> None:
        await self.publish(self.ready(key, config) | more)

    async def publish(self, ready: dict[str, Any]) -> None:
        await self.client.jetstream().publish(subjects.node_ready("steps"), orjson.dumps(ready))

    async def end_runs(self, *run_ids: str, value: bytes = b"cancelled") -> None:
        for run_id in run_ids:
            await self.client.jetstream().publish(f"$KV.{subjects.ENDED_RUNS_BUCKET}.{run_id}", value)

    async def result(self, key: str) -> dict[str, Any]:
        await eventually(lambda: key in self.results, f"the result of {key}")
        return self.results[key]

    async def left(self) -> int:
        return (await self.client.jetstream().stream_info(subjects.NODE_WORK)).state.messages

    async def is_done(self) -> bool:
        return await self.left() == 0


@asynccontextmanager
async def stepping(
    client: Client, nats_url: str, *, opens_gate: bool = True, is_fast: bool = False, slots: int = 4
) -> AsyncIterator[Hands]:
    """A worker on a connection of its own; what still waits at the end may go on, or not."""
    steps = Steps()
    made = Hands(client, steps)
    await ensure_node_type_durable(client.jetstream(), "steps")
    await client.subscribe(subjects.node_result("steps"), cb=made.hear)
    kind = NodeType("steps", "Steps", "For tests", StepConfig, steps.execute, slots=slots, is_fast=is_fast)
    bus = Bus(nats_url, "worker")
    await bus.connect()
    async with working(bus, ExecutorSettings(worker_name="test-1"), [kind]):
        yield made
        if opens_gate:
            steps.gate.set()
    await bus.close()
