"""Tokens that only a coordinator can make: who has one was given that attempt."""

from __future__ import annotations

import hmac
from functools import lru_cache

#: Tokens that are remembered, about 5 MB: of most attempts, who sent them out also hears how they ended.
KEPT = 10_000


class Tokens:
    """HMAC-SHA256 of `run:node:attempt` under the coordinators' secret, as hex."""

    def __init__(self, secret: str) -> None:
        self._keyed = hmac.new(secret.encode(), digestmod="sha256")
        self.make = lru_cache(KEPT)(self._make)

    def is_valid(self, token: str, run_id: str, node_key: str, attempt: int) -> bool:
        return hmac.compare_digest(token.encode(), self.make(run_id, node_key, attempt).encode())

    def _make(self, run_id: str, node_key: str, attempt: int) -> str:
        digest = self._keyed.copy()
        digest.update(f"{run_id}:{node_key}:{attempt}".encode())
        return digest.hexdigest()
