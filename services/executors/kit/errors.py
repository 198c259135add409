"""How a node fails; the branches are what the coordinator must tell apart.

NodeError
├── TransientNodeError   trying again may help: timeouts, 429, 5xx
└── PermanentNodeError   it will not: bad template, 4xx, refused by policy
"""

from __future__ import annotations


class NodeError(Exception):
    """`code` is for programs, `message` for people: what, which, and what to do; never a secret."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class TransientNodeError(NodeError):
    """Trying again may help, not before `retry_after_s` if the other side asked for that."""

    def __init__(self, code: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after_s = retry_after_s


class PermanentNodeError(NodeError):
    """Trying again will not help."""
