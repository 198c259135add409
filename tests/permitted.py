"""NATS with the users that are shipped, and Postgres with the roles that are shipped."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.cli.local.nats_server import find_nats_server
from services.cli.local.postgres_server import find_binaries
from services.cli.local.state import is_listening
from tests.eventually import eventually
from tests.ports import free_port

DEPLOY = Path(__file__).parents[1] / "deploy"
USERS_CONF = DEPLOY / "nats" / "users.conf"
USERS = tuple(re.findall(r"user: ([\w-]+),", USERS_CONF.read_text()))
ROLES = ("migrator", "definition", "coordinator", "gateway")

_SERVER = """\
listen: "127.0.0.1:{port}"
max_payload: 1MB
jetstream {{ store_dir: "{folder}/store" }}
{more}
"""


@dataclass
class PermittedNats:
    """A server on loopback with the shipped users."""

    port: int = field(default_factory=free_port)
    passwords: dict[str, str] = field(default_factory=lambda: {user: secrets.token_hex(16) for user in USERS})

    def url(self, user: str, scheme: str = "nats", more: str = "") -> str:
        return f"{scheme}://{user}:{self.passwords[user]}@127.0.0.1:{self.port}{more}"


@asynccontextmanager
async def permitted_nats(folder: Path, more: str = "") -> AsyncIterator[PermittedNats]:
    """`more` is added to its configuration."""
    made = PermittedNats()
    shutil.copy(USERS_CONF, folder)
    variables = {
        f"NATS_PASSWORD_{user.replace('-', '_').upper()}": f'"{word}"' for user, word in made.passwords.items()
    }
    async with nats_process(folder, made.port, f"{more}\ninclude users.conf", variables):
        yield made


@asynccontextmanager
async def nats_process(
    folder: Path, port: int, more: str, variables: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """A server on loopback with this more in its configuration."""
    path = folder / "nats.conf"
    path.write_text(_SERVER.format(port=port, folder=folder, more=more))
    process = await asyncio.create_subprocess_exec(
        find_nats_server(), "-c", str(path), env={**os.environ, **(variables or {})}, stderr=subprocess.DEVNULL
    )
    try:
        await eventually(lambda: is_listening(port), "NATS")
        yield
    finally:
        process.terminate()
        await process.wait()


def make_roles(admin_url: str) -> dict[str, str]:
    """Run the shipped script; the URL of each role."""
    passwords = {role: secrets.token_hex(16) for role in ROLES}
    variables = {f"PIPEWRIGHT_{role.upper()}_PASSWORD": word for role, word in passwords.items()}
    script = str(DEPLOY / "postgres" / "roles.sql")
    command = [str(find_binaries() / "psql"), admin_url, "-v", "ON_ERROR_STOP=1", "-q", "-f", script]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    place = admin_url.rsplit("@", 1)[1]
    return {role: f"postgresql://pipewright_{role}:{word}@{place}" for role, word in passwords.items()}
