"""A node type from outside the tree with nothing of Pipewright's: only the messages of docs/asyncapi.json.

    PIPEWRIGHT_NATS_URL=nats://user:password@host:4222 python shout.py

Templates are not its business: it shouts `input.word`, which it is sent because its config refers to it. What goes
wrong with NATS itself ends the program; start it again, and it goes on where it was.
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
        "properties": {"of": {"type": "string"}, "marks": {"type": "integer"}, "breath_s": {"type": "number"}},
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


async def shout(ready):
    """How the attempt ends; every way is an outcome, and `retryable` says whether trying again may help."""
    config = ready["config"]
    try:
        async with asyncio.timeout(ready["timeout_s"]):
            await asyncio.sleep(config.get("breath_s", 0))
            text = ready["inputs"]["input"]["word"].upper() + "!" * config.get("marks", 1)
    except TimeoutError:
        error = {"code": "timed_out", "message": "The breath was longer than timeout_s."}
        return {"status": "failed", "outcome": "timed_out", "error": error, "retryable": True}
    except (KeyError, TypeError, AttributeError):
        error = {"code": "no_word", "message": "There is no text in input.word. Let `of` refer to it."}
        return {"status": "failed", "error": error, "retryable": False}
    return {"status": "completed", "output": {"text": text}}


async def beat(client, message, attempt):
    """Every 3 s: to the server, which waits 10 s before it delivers again, and to the coordinators: a lease."""
    while True:
        await asyncio.sleep(3)
        await message.in_progress()
        body = json.dumps({"worker": WORKER, "attempts": [attempt]}).encode()
        await client.publish(f"pipewright.node.running.{TYPE}", body)


async def work(client, message):
    """The result first, then the acknowledgement: who dies in between does it again, and nothing is lost."""
    ready = json.loads(message.data)
    attempt = {key: ready[key] for key in ("run_id", "node_key", "attempt")} | {"started_at": now()}
    beating = asyncio.create_task(beat(client, message, attempt))
    try:
        outcome = await shout(ready)
    finally:
        beating.cancel()
    result = attempt | {"token": ready["token"], "outcome": outcome, "finished_at": now()}
    body = json.dumps({"worker": WORKER, "results": [result]}).encode()
    await client.jetstream().publish(f"pipewright.node.result.{TYPE}", body)
    await message.ack()


async def serve_slot(client):
    """One piece of work after another."""
    queue = await client.jetstream().pull_subscribe_bind(TYPE, "NODE_WORK")
    while True:
        try:
            [message] = await queue.fetch(1, timeout=5)
        except TimeoutError:
            continue
        await work(client, message)


async def wait_until_accepted(jetstream):
    """Until the durable of the type is there: the definition service makes it when it accepts the announcement."""
    while True:
        try:
            return await jetstream.consumer_info("NODE_WORK", TYPE)
        except NotFoundError:
            await asyncio.sleep(0.05)


async def main():
    client = await nats.connect(os.environ["PIPEWRIGHT_NATS_URL"])
    jetstream = client.jetstream()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(announce(await jetstream.key_value("node_types")))
        await wait_until_accepted(jetstream)
        for _ in range(SLOTS):
            tasks.create_task(serve_slot(client))


asyncio.run(main())
