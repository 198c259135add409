"""What the local stack keeps between starts: ports, passwords and keys, readable by its user alone."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Container, Iterable
from pathlib import Path
from random import SystemRandom
from typing import Any

import orjson
from pydantic import BaseModel, Field

STATE_FILE = "state.json"
STATUS_FILE = "status.json"
LOCK_FILE = "lock"
LOCK_TRIES = 10
#: Below those that a system takes for outgoing connections by itself, where a port that was free a moment ago may be
#: anybody's.
LOWEST_PORT, HIGHEST_PORT = 10_000, 32_767


def _password() -> str:
    return secrets.token_urlsafe(24)


class LocalState(BaseModel):
    """Made at the first start, used at every other."""

    nats_port: int = 0
    nats_password: str = Field(default_factory=_password)
    postgres_port: int = 0
    postgres_password: str = Field(default_factory=_password)
    demo_model_port: int = 0
    demo_api_port: int = 0
    #: The coordinators' secret, as hex.
    secret: str = Field(default_factory=lambda: secrets.token_hex(32))
    #: The first API key.
    api_key: str = Field(default_factory=lambda: f"pw_{secrets.token_urlsafe(32)}")

    @property
    def nats_url(self) -> str:
        return f"nats://pipewright:{self.nats_password}@127.0.0.1:{self.nats_port}"

    @property
    def database_url(self) -> str:
        return f"postgresql://pipewright:{self.postgres_password}@127.0.0.1:{self.postgres_port}/pipewright"


def load_state(data_dir: Path) -> LocalState:
    path = data_dir / STATE_FILE
    return LocalState.model_validate_json(path.read_bytes()) if path.exists() else LocalState()


def save_state(data_dir: Path, state: LocalState) -> None:
    write_private(data_dir / STATE_FILE, state.model_dump_json(indent=2).encode())


def write_private(path: Path, body: bytes) -> None:
    """Replace the file in one step; nobody else can read it at any time."""
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
    new.replace(path)


def read_status(data_dir: Path) -> dict[str, Any] | None:
    """What the stack in this directory last said of itself; None when it never ran."""
    path = data_dir / STATUS_FILE
    found: dict[str, Any] | None = orjson.loads(path.read_bytes()) if path.exists() else None
    return found


def live_status(data_dir: Path) -> dict[str, Any] | None:
    """What runs in this data directory; None when nothing does."""
    status = read_status(data_dir)
    return status if status is not None and is_locked(data_dir) else None


def take_lock(data_dir: Path) -> int | None:
    """One stack for a data directory; None when another has it.

    It ends with the last process that was forked with it, however that ends; a program that is executed has it no more.
    """
    descriptor = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(LOCK_TRIES):
        if _lock(descriptor, fcntl.LOCK_EX):
            return descriptor
        # A command may be asking right now whether it is taken.
        time.sleep(0.02)
    os.close(descriptor)
    return None


def is_locked(data_dir: Path) -> bool:
    if not (data_dir / LOCK_FILE).exists():
        return False
    descriptor = os.open(data_dir / LOCK_FILE, os.O_RDWR)
    try:
        return not _lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def choose_ports(wanted: Iterable[int]) -> list[int]:
    """Each wanted port when it is free, else any; none twice."""
    chosen: list[int] = []
    for port in wanted:
        is_kept = port and port not in chosen and is_free(port)
        chosen.append(port if is_kept else any_port(chosen))
    return chosen


def any_port(taken: Container[int]) -> int:
    """A free one that is not among those taken."""
    random = SystemRandom()
    while True:
        port = random.randint(LOWEST_PORT, HIGHEST_PORT)
        if port not in taken and is_free(port):
            return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
