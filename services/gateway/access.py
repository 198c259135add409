"""What a key may do: every route with data names the scope that it needs."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from fastapi import Depends, Request

from shared.errors import ServiceError


class Scope(StrEnum):
    """`admin` includes all others."""

    PIPELINES_READ = "pipelines:read"
    PIPELINES_WRITE = "pipelines:write"
    RUNS_START = "runs:start"
    RUNS_READ = "runs:read"
    RUNS_CANCEL = "runs:cancel"
    ADMIN = "admin"


class ForbiddenError(ServiceError):
    status = 403
    title = "Not allowed"


class Needs:
    """The dependency of a route: a good key with this scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> None:
        key = await request.app.state.wiring.keys.check(request.headers.get("authorization"))
        if self.scope not in key.scopes and Scope.ADMIN not in key.scopes:
            has = ", ".join(sorted(key.scopes)) or "none"
            raise ForbiddenError(
                "missing_scope",
                f"This needs the scope '{self.scope}'; key '{key.name}' has: {has}. Use another key.",
            )


def needs(scope: Scope) -> Any:
    return Depends(Needs(scope))
