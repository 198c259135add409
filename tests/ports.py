"""Free ports on loopback, each given once."""

from __future__ import annotations

from services.cli.local.state import any_port

_given: set[int] = set()


def free_port() -> int:
    port = any_port(_given)
    _given.add(port)
    return port
