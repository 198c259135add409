"""A worker played by hand: takes ready nodes and says what became of them, in any order and any number of times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from shared.contracts import subjects
from shared.contracts.nodes import NodeTypeAnnounced
from tests.eventually import eventually

SCHEMA = {
    "type": "object",
    "properties": {"say": {"type": "string"}},
    "required": ["say"],
    "additionalProperties": False,
}

Ready = dict[str, Any]


class HandWorker:
    """Serves the node type `step`, one message at a time."""

    name = "hand-1"

    def __init__(self, client: Client, node_type: str = "step", slots: int = 50) -> None:
        self.client = client
        self.jetstream: JetStreamContext = client.jetstream(timeout=5)
        self.node_type = node_type
        self.slots = slots
        #: The messages of what was taken, to be acknowledged.
        self.messages: dict[tuple[str, str, int, int], Msg] = {}

    async def announce(self, **more: Any) -> None:
        """Say what is served, and wait until the definition service has made the consumer."""
        fields: dict[str, Any] = {
            "node_type": self.node_type,
            "worker": self.name,
            "title": "Step",
            "config_schema": SCHEMA,
            "schema_version": 1,
            "slots": self.slots,
        }
        announced = NodeTypeAnnounced.model_validate(fields | more)
        bucket = await self.jetstream.key_value(subjects.NODE_TYPES_BUCKET)
        await bucket.put(f"{self.node_type}.{self.name}", announced.model_dump_json().encode())

    async def subscribe(self) -> None:
        async def is_there() -> bool:
            names = [info.name for info in await self.jetstream.consumers_info(subjects.NODE_WORK)]
            return self.node_type in names

        await eventually(is_there, "the consumer of the type")
        self._pull = await self.jetstream.pull_subscribe_bind(self.node_type, subjects.NODE_WORK)

    async def take(self, count: int = 1, timeout_s: float = 20) -> list[Ready]:
        """So many ready nodes, in the order of their keys."""
        found: list[Ready] = []
        while len(found) < count:
            for message in await self._pull.fetch(count - len(found), timeout=timeout_s):
                ready = orjson.loads(message.data)
                self.messages[ready["run_id"], ready["node_key"], ready["attempt"], ready["dispatch"]] = message
                found.append(ready)
        return sorted(found, key=lambda ready: (ready["run_id"], ready["node_key"]))

    async def take_one(self, timeout_s: float = 20) -> Ready:
        [ready] = await self.take(1, timeout_s)
        return ready

    async def waiting(self) -> int:
        """Messages of the type that nobody has taken."""
        info = await self.jetstream.consumer_info(subjects.NODE_WORK, self.node_type)
        return info.num_pending or 0

    async def acknowledge(self, ready: Ready) -> None:
        key = ready["run_id"], ready["node_key"], ready["attempt"], ready["dispatch"]
        await self.messages[key].ack_sync()

    async def say(self, *results: Any, node_type: str | None = None, worker: str | None = None) -> None:
        """Publish these results in one message, without acknowledging any work."""
        # The standard library's writer, since orjson's refuses what some workers say.
        body = json.dumps({"worker": worker or self.name, "results": list(results)}).encode()
        await self.jetstream.publish(subjects.node_result(node_type or self.node_type), body)

    async def complete(self, *readies: Ready, output: dict[str, Any] | None = None) -> None:
        """As a good worker does: the results first, then the acknowledgements."""
        await self.say(*(completed(ready, output) for ready in readies))
        for ready in readies:
            await self.acknowledge(ready)

    async def fail(self, ready: Ready, *, retryable: bool = False, **more: Any) -> None:
        await self.say(failed(ready, retryable=retryable, **more))
        await self.acknowledge(ready)

    async def beat(self, *readies: Ready) -> None:
        """Say that these are being worked on."""
        attempts = [
            {key: ready[key] for key in ("run_id", "node_key", "attempt")} | {"started_at": _now()} for ready in readies
        ]
        await self.client.publish(
            subjects.node_running(self.node_type), orjson.dumps({"worker": self.name, "attempts": attempts})
        )


def completed(ready: Ready, output: dict[str, Any] | None = None) -> dict[str, Any]:
    said = {"said": ready["node_key"]} if output is None else output
    return _result(ready, {"status": "completed", "output": said})


def failed(ready: Ready, *, retryable: bool = False, **more: Any) -> dict[str, Any]:
    error = {"code": "broken", "message": "It broke."}
    return _result(ready, {"status": "failed", "error": error, "retryable": retryable, **more})


def _result(ready: Ready, outcome: dict[str, Any]) -> dict[str, Any]:
    named = {key: ready[key] for key in ("run_id", "node_key", "attempt", "token")}
    return named | {"outcome": outcome, "started_at": _now(), "finished_at": _now(), "metadata": {"tokens": 3}}


def _now() -> str:
    return datetime.now(UTC).isoformat()
