"""What goes wrong: each fault is done, lasts its time, and is healed; a seed chooses which, where and how long."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.cli.setup import make_topology
from shared.contracts import subjects
from tests.faults.standstill import Period, now
from tests.faults.system import System

SERVICES = ("coordinator-1", "coordinator-2", "definition-1", "gateway-1", "worker-")
BUSY_STREAMS = (subjects.NODE_WORK, subjects.NODE_RESULTS, subjects.RUN_EVENTS)
QUEUES = (subjects.NODE_WORK, subjects.NODE_RESULTS)
#: Nothing here is a message of ours.
JUNK = (b"", b"{", b"[]", b"\xff\xfe", b'{"results": 1}', b'{"worker": "w", "results": [{}]}', b"x" * 900_000)
#: Results of others that the nemesis keeps and says again.
KEPT = 200

#: Nothing that is in flight is lost by these.
HARMLESS = frozenset({"junk sent", "results repeated", "nothing"})

Fault = Callable[["Nemesis"], Awaitable[None]]


@dataclass
class Nemesis:
    """Does one fault after another, with a calm between them."""

    system: System
    random: Random
    client: Client
    done: list[tuple[str, Period]] = field(default_factory=list)
    #: Times that work in flight could be lost, and so may be done again.
    disruptions: int = 0
    _kept: list[Msg] = field(default_factory=list)

    async def run(self, seconds: float, calm_s: float, faults: dict[str, Fault]) -> None:
        end = asyncio.get_running_loop().time() + seconds
        names = sorted(faults)
        while asyncio.get_running_loop().time() < end:
            # Each kind comes before any comes again.
            self.random.shuffle(names)
            for name in names:
                await self.inflict(name, faults[name])
                await asyncio.sleep(self.random.uniform(0.5, 1.5) * calm_s)
                if asyncio.get_running_loop().time() >= end:
                    return

    async def inflict(self, name: str, fault: Fault) -> None:
        begin = now()
        try:
            await fault(self)
        finally:
            self.done.append((name, (begin, now())))
            self.disruptions += name not in HARMLESS

    @property
    def periods(self) -> list[Period]:
        return [period for _, period in self.done]

    async def keep(self, message: Msg) -> None:
        """Remember results that pass by."""
        if len(self._kept) < KEPT:
            self._kept.append(message)

    # Services

    async def _someone(self) -> int | None:
        pids = await self.system.pids(self.random.choice(SERVICES))
        return self.random.choice(sorted(pids.values())) if pids else None

    async def kill_service(self) -> None:
        pid = await self._someone()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def kill_all_services(self) -> None:
        for pid in (await self.system.pids()).values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def freeze_service(self) -> None:
        """A zombie: it goes on later and knows nothing of what happened meanwhile."""
        pid = await self._someone()
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(self.random.uniform(1, 15))
            os.kill(pid, signal.SIGCONT)

    async def stop_service(self) -> None:
        """As an orderly restart does."""
        pid = await self._someone()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    # NATS

    async def kill_nats(self) -> None:
        await self.system.servers.nats.kill()
        await asyncio.sleep(self.random.uniform(0, 5))
        await self.system.servers.nats.start()

    async def freeze_nats(self) -> None:
        self.system.servers.nats.signal(signal.SIGSTOP)
        await asyncio.sleep(self.random.uniform(1, 15))
        self.system.servers.nats.signal(signal.SIGCONT)

    async def wipe_nats(self) -> None:
        """Everything that it kept is gone, acknowledged or not; run requests among it are not promised here."""
        await self._wait_for_requests()
        await self.system.servers.nats.kill()
        self.system.servers.wipe_nats()
        await self.system.servers.nats.start()
        await make_topology(self.system.nats_url)

    async def delete_stream(self) -> None:
        with suppress(nats.errors.Error, nats.js.errors.Error):
            await self.client.jetstream().delete_stream(self.random.choice(BUSY_STREAMS))
        await make_topology(self.system.nats_url)

    async def delete_consumer(self) -> None:
        jetstream = self.client.jetstream()
        stream = self.random.choice(QUEUES)
        names = sorted(str(info.name) for info in await jetstream.consumers_info(stream))
        if names:
            with suppress(nats.errors.Error, nats.js.errors.Error):
                await jetstream.delete_consumer(stream, self.random.choice(names))
        await make_topology(self.system.nats_url)

    async def cut_nats(self) -> None:
        self.system.nats_proxy.cut()

    async def black_hole_nats(self) -> None:
        self.system.nats_proxy.black_hole()
        await asyncio.sleep(self.random.uniform(5, 25))
        self.system.nats_proxy.heal()
        self.system.nats_proxy.cut()

    async def _wait_for_requests(self) -> None:
        """The stream's acknowledgement is a promise that only its disk keeps."""
        from tests.eventually import eventually

        async def is_empty() -> bool:
            info = await self.client.jetstream().stream_info(subjects.RUN_REQUESTS)
            return info.state.messages == 0

        await eventually(is_empty, "run requests taken", timeout_s=60)

    # Postgres

    async def kill_postgres(self) -> None:
        await self.system.servers.postgres.kill()
        await asyncio.sleep(self.random.uniform(0, 5))
        await self.system.servers.postgres.start()

    async def freeze_postgres(self) -> None:
        self.system.servers.postgres.signal(signal.SIGSTOP)
        await asyncio.sleep(self.random.uniform(1, 15))
        self.system.servers.postgres.signal(signal.SIGCONT)

    async def cut_postgres(self) -> None:
        self.system.postgres_proxy.cut()

    async def cut_commit(self) -> None:
        self.system.postgres_proxy.cut_next_commit()

    # Messages

    async def send_junk(self) -> None:
        """On every subject on which a service listens."""
        places = [
            subjects.RUN_REQUEST, subjects.node_ready("text"), subjects.node_ready("http_request"),
            subjects.node_result("text"), subjects.node_result("http_request"), subjects.node_running("text"),
            subjects.RUNS_START, subjects.RUNS_GET, subjects.RUNS_CANCEL, subjects.VERSIONS_RESOLVE,
            subjects.run_event("completed"),
        ]  # fmt: skip
        for place in places:
            await self.client.publish(place, self.random.choice(JUNK))
        await self.client.flush()

    async def repeat_results(self) -> None:
        """Results that passed by, again, in another order; also as if another type had sent them."""
        kept, self._kept = self._kept, []
        self.random.shuffle(kept)
        for message in kept:
            await self.client.publish(message.subject, message.data)
            if self.random.random() < 0.2:
                await self.client.publish(subjects.node_result("condition"), message.data)
        await self.client.flush()


#: By the name in the report.
FAULTS: dict[str, Fault] = {
    "service killed": Nemesis.kill_service,
    "all services killed": Nemesis.kill_all_services,
    "service frozen": Nemesis.freeze_service,
    "service stopped": Nemesis.stop_service,
    "NATS killed": Nemesis.kill_nats,
    "NATS frozen": Nemesis.freeze_nats,
    "NATS wiped": Nemesis.wipe_nats,
    "stream deleted": Nemesis.delete_stream,
    "consumer deleted": Nemesis.delete_consumer,
    "NATS connections cut": Nemesis.cut_nats,
    "NATS black hole": Nemesis.black_hole_nats,
    "Postgres killed": Nemesis.kill_postgres,
    "Postgres frozen": Nemesis.freeze_postgres,
    "Postgres connections cut": Nemesis.cut_postgres,
    "connection cut in a commit": Nemesis.cut_commit,
    "junk sent": Nemesis.send_junk,
    "results repeated": Nemesis.repeat_results,
}
