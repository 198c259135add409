"""A connection that is cut while nats-py still writes to it, on the event loop that services have."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import uvloop

from shared.bus.address import connect
from shared.bus.rpc import Rpc
from shared.bus.transfers import Transfers
from shared.contracts import subjects
from shared.contracts.runs import RunList, RunPage
from shared.errors import UnavailableError
from tests.servers import nats_server


def test_a_question_on_a_connection_that_was_just_cut_is_told_to_come_again(tmp_path: Path) -> None:
    async def ask() -> None:
        async with nats_server(tmp_path) as url:
            client = await connect(url)
            # As the proxy of the fault tests does it by chance: what flushes has ended, what reads has not yet.
            client._flusher_task.cancel()
            await asyncio.sleep(0)
            client._transport._io_writer.transport.abort()
            with pytest.raises(UnavailableError):
                await Rpc(client, Transfers(client.jetstream())).call(subjects.RUNS_LIST, RunList(), RunPage, 2)
            await client.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(ask(), 30))
