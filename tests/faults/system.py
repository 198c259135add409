"""Everything that a fault can hit: real servers behind proxies, the services of `pipewright up`, and a witness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row

from services.cli.local.state import STATUS_FILE
from services.cli.setup import make_topology, migrate_all
from tests.eventually import eventually
from tests.faults.cluster import make_cluster
from tests.faults.gate import Gate
from tests.faults.proxy import Proxy, proxying
from tests.faults.servers import Servers
from tests.ledger import Ledger, ledger
from tests.stack import Stack

#: Signs the tokens of attempts; a coordinator of the tests' own needs it too.
SECRET = "a secret that is known to the tests alone"
#: Work that an http worker has at the same time.
HTTP_SLOTS = 16
WITNESS = Path(__file__).with_name("witness.sql")


@dataclass
class System:
    """The services reach NATS and Postgres through the proxies; the tests look past them."""

    servers: Servers
    nats_proxy: Proxy
    postgres_proxy: Proxy
    stack: Stack
    ledger: Ledger
    #: Starts that the stream may take pass here: what it has acknowledged, its disk alone keeps.
    stream_gate: Gate = field(default_factory=Gate)
    #: Further gateways, by their addresses; any of them may be dead.
    more_gateways: list[str] = field(default_factory=list)

    @property
    def nats_url(self) -> str:
        return self.servers.state.nats_url

    @property
    def database_url(self) -> str:
        return self.servers.state.database_url

    @property
    def environment(self) -> dict[str, str]:
        """What a service needs to be one of this system's."""
        return self.stack.environment

    async def query(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        async with await psycopg.AsyncConnection.connect(
            self.database_url, autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = await connection.execute(statement.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    async def pids(self, prefix: str = "") -> dict[str, int]:
        """Process ids by name, of the services that run now."""
        parts = self._parts()
        return {part["name"]: part["pid"] for part in parts if part["pid"] and part["name"].startswith(prefix)}

    async def all_running(self) -> None:
        """Until the supervisor has every service up."""

        def are_up() -> bool:
            return all(part["state"] == "running" for part in self._parts())

        await eventually(are_up, "every service up again", timeout_s=60)

    def _parts(self) -> list[dict[str, Any]]:
        """What the supervisor says; its own file, since the command takes long where all is busy."""
        found: list[dict[str, Any]] = orjson.loads((self.stack.data_dir / STATUS_FILE).read_bytes())["services"]
        return found


@asynccontextmanager
async def system(
    folder: Path, *, coordinators: int = 2, replicas: int = 1, health_port: int = 0
) -> AsyncIterator[System]:
    """Two coordinators, one of all others, on servers of their own; with three replicas on a cluster of NATS."""
    servers = Servers(folder)
    if replicas > 1:
        servers.nats_members = make_cluster(folder, servers.state)
    await servers.start()
    try:
        await migrate_all(servers.state.database_url)
        await make_topology(servers.state.nats_url, replicas)
        async with await psycopg.AsyncConnection.connect(servers.state.database_url, autocommit=True) as connection:
            await connection.execute(WITNESS.read_bytes())
        async with proxying(servers.state.nats_port) as bus, proxying(servers.state.postgres_port) as postgres:
            with ledger() as server:
                stack = Stack(folder / "stack", _environment(servers, bus, postgres, server, replicas))
                stack.arguments = ("--coordinators", str(coordinators), "--health-port", str(health_port))
                await asyncio.to_thread(stack.start)
                try:
                    yield System(servers, bus, postgres, stack, server)
                finally:
                    await asyncio.to_thread(stack.stop)
    finally:
        await servers.stop()


def _environment(servers: Servers, nats_proxy: Proxy, postgres: Proxy, server: Ledger, replicas: int) -> dict[str, str]:
    state = servers.state
    return {
        "PIPEWRIGHT_NATS_URL": state.nats_url.replace(str(state.nats_port), str(nats_proxy.port)),
        "PIPEWRIGHT_NATS_REPLICAS": str(replicas),
        "PIPEWRIGHT_DATABASE_URL": state.database_url.replace(str(state.postgres_port), str(postgres.port)),
        "PIPEWRIGHT_ALLOW_ADDRESSES": f"127.0.0.1:{server.port}",
        "PIPEWRIGHT_SLOTS": f"http_request={HTTP_SLOTS},llm={HTTP_SLOTS}",
        "PIPEWRIGHT_LLM_URLS": f"ledger={server.url}/v1",
        "PIPEWRIGHT_RATE_LIMIT_PER_S": "0",
    }
