"""Whether a server answers who connects anew; asked from a plain thread, when a connection of ours is silent."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

import psycopg

#: A server that is there greets within this.
GREETING_S = 2

Greets = Callable[[], bool]


def nats_greets(hosts: Iterable[tuple[str, int]]) -> bool:
    """A NATS server sends INFO to whoever connects."""
    return any(_sends_info(host) for host in hosts)


def postgres_greets(database_url: str) -> bool:
    """It lets us in: one that is starting, recovering, full or locked to us is away for this process as for any other
    that would be started in its place, though it answers the first bytes."""
    try:
        psycopg.connect(database_url, connect_timeout=GREETING_S, application_name="pipewright-watchdog").close()
    except psycopg.Error:
        return False
    return True


def _sends_info(host: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(host, timeout=GREETING_S) as connection:
            connection.settimeout(GREETING_S)
            return connection.recv(4) == b"INFO"
    except OSError:
        return False
