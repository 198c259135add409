"""Three NATS servers with the configuration that is shipped for a cluster, on loopback."""

from __future__ import annotations

from pathlib import Path

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from services.cli.local.nats_server import find_nats_server
from services.cli.local.state import LocalState
from tests.faults.servers import Server
from tests.permitted import DEPLOY
from tests.ports import free_port

NAMES = ("nats-1", "nats-2", "nats-3")


def make_cluster(folder: Path, state: LocalState) -> dict[str, Server]:
    """By name, not started; the first has the port of the state."""
    shipped = (DEPLOY / "nats" / "cluster.conf").read_text()
    routes = {name: f"127.0.0.1:{free_port()}" for name in NAMES}
    members = {}
    for name in NAMES:
        port = free_port() if members else state.nats_port
        changes = {
            "$NATS_SERVER_NAME": name,
            "0.0.0.0:4222": f"127.0.0.1:{port}",
            "http: 127.0.0.1:8222": "",
            "0.0.0.0:6222": routes[name],
            "store_dir: /data": f'store_dir: "{folder / name}"',
            "include users.conf": f'authorization {{ user: pipewright, password: "{state.nats_password}" }}',
        } | {f"{other}:6222": route for other, route in routes.items()}
        path = folder / f"{name}.conf"
        path.write_text(_changed(shipped, changes))
        members[name] = Server([find_nats_server(), "-c", str(path)], port)
    return members


def _changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"{old} is not in the shipped configuration any more"
        text = text.replace(old, new)
    return text


async def leader(client: Client, stream: str) -> str | None:
    """The name of the server that leads it now, if one does: while one is elected, nobody may answer."""
    try:
        cluster = (await client.jetstream().stream_info(stream)).cluster
    except (nats.errors.Error, nats.js.errors.Error):
        return None
    return cluster.leader if cluster is not None else None
