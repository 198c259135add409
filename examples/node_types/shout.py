"""A node type from outside the tree with nothing of Pipewright's: only the messages of docs/asyncapi.json.

It takes its text from what it is sent, so templates are not its business: it shouts `inputs.input.word`.

    PIPEWRIGHT_NATS_URL=$(pipewright status --json | jq -r .nats) python shout.py
"""

import asyncio
import json
import os
from datetime import UTC, datetime

import nats
from nats.js.errors import NotFoundError

TYPE, WORKER, SLOTS = "shout", "shout-1", 4
ANNOUNCEMENT = {
    "node_type": TYPE,
    "worker": WORKER,
    "title": "Shout",
    "schema_version": 1,
    "slots": SLOTS,
    "config_schema": {
        "type": "object",
        "properties": {"of": {"type": "string"}, "marks": {"type": "integer"}},
        "required": ["of"],
        "additionalProperties": False,
    },
}


def now():
    return datetime.now(UTC).isoformat()


async def announce(bucket):
    """At start and every 30 s; after 90 s of silence the type counts as offline."""
    while True:
        await bucket.put(f"{TYPE}.{WORKER}", json.dumps(ANNOUNCEMENT).encode())
        await asyncio.sleep(30)


async def work(jetstream, message):
    """The result first, then the acknowledgement: who dies in between does it again, and nothing is lost."""
    ready = json.loads(message.data)
    started_at = now()
    text = ready["inputs"]["input"]["word"].upper() + "!" * ready["config"].get("marks", 1)
    result = {key: ready[key] for key in ("run_id", "node_key", "attempt", "token")}
    result |= {"outcome": {"status": "completed", "output": {"text": text}}, "metadata": {}}
    result |= {"started_at": started_at, "finished_at": now()}
    body = json.dumps({"worker": WORKER, "results": [result]}).encode()
    await jetstream.publish(f"pipewright.node.result.{TYPE}", body)
    await message.ack()


async def pull(jetstream):
    """From the durable that the definition service makes when it accepts the announcement."""
    while True:
        try:
            await jetstream.consumer_info("NODE_WORK", TYPE)
        except NotFoundError:
            await asyncio.sleep(0.05)
        else:
            return await jetstream.pull_subscribe_bind(TYPE, "NODE_WORK")


async def main():
    client = await nats.connect(os.environ["PIPEWRIGHT_NATS_URL"])
    jetstream = client.jetstream()
    announcing = asyncio.create_task(announce(await jetstream.key_value("node_types")))
    queue = await pull(jetstream)
    while not announcing.done():
        try:
            messages = await queue.fetch(SLOTS, timeout=5)
        except TimeoutError:
            continue
        # What takes longer than 10 s calls message.in_progress() every 3 s and publishes NodesRunning.
        await asyncio.gather(*(work(jetstream, message) for message in messages))


asyncio.run(main())
