"""Free ports on loopback, each given once: below those that a system takes for outgoing connections by itself, where
a port that was free a moment ago may be anybody's."""

from __future__ import annotations

from random import SystemRandom

from services.cli.local.state import is_free

LOWEST, HIGHEST = 10_000, 32_767

_random = SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    while True:
        port = _random.randint(LOWEST, HIGHEST)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
