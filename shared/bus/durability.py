"""Whether NATS has a run request on disk before it acknowledges it, as far as its system account tells a client."""

from __future__ import annotations

import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client
from nats.js.api import PersistMode, StorageType

from shared.contracts import subjects
from shared.errors import words_of
from shared.logging import get_logger

log = get_logger(__name__)

#: Each server answers with its settings and figures. No account but the system's hears of it, unless that exports it.
SERVERS = "$SYS.REQ.SERVER.PING.VARZ"
#: Servers of a cluster answer within this, one after another.
ANSWER_S = 2.0
WHERE = "docs/operations.md says more, under 'JetStream's sync'."


async def warn_of_durability(client: Client) -> None:
    """Say in the log what is wrong, if anything; never fails."""
    try:
        problem = await problem_of_durability(client)
    except (nats.errors.Error, nats.js.errors.Error, orjson.JSONDecodeError, TimeoutError) as error:
        problem = f"It was not told whether run requests are on disk: {words_of(error)}. {WHERE}"
    if problem is not None:
        log.warning("run requests may be lost in a power cut of NATS after they were acknowledged", problem=problem)
    log.info("looked how run requests are kept")


async def problem_of_durability(client: Client) -> str | None:
    """What is wrong, and what to do; None when every write of RUN_REQUESTS is on disk before its acknowledgement."""
    config = (await client.jetstream().stream_info(subjects.RUN_REQUESTS)).config
    if config.storage != StorageType.FILE or config.persist_mode == PersistMode.ASYNC:
        return "The stream RUN_REQUESTS is written later. Delete it while it is empty, then run 'pipewright topology'."
    servers = await _servers(client)
    if not servers:
        return f"The system account of NATS does not tell whether writes are synced. {WHERE}"
    loose = sorted(name for name, is_synced in servers.items() if not is_synced)
    if loose:
        return (
            f"JetStream of {', '.join(loose)} acknowledges writes before they are on disk. "
            "Set 'sync_interval: always' in the block 'jetstream' of its configuration."
        )
    return None


async def _servers(client: Client) -> dict[str, bool]:
    """By name, whether it syncs every write; empty when nobody is told."""
    found: dict[str, bool] = {}
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    try:
        await client.publish(SERVERS, reply=inbox)
        while True:
            answer = await answers.next_msg(timeout=ANSWER_S)
            if answer.headers and answer.headers.get("Status"):
                break
            said = orjson.loads(answer.data)
            config = said.get("data", {}).get("jetstream", {}).get("config")
            # A server without JetStream keeps nothing.
            if config is not None:
                found[said["server"]["name"]] = config.get("sync_always") is True
    except nats.errors.TimeoutError:
        # All have answered.
        pass
    finally:
        await answers.unsubscribe()
    return found
