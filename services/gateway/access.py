"""What a key may do: every route with data names the scope that it needs."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, Request

from services.gateway.parameters import check_parameters
from shared.contracts.api_keys import Scope
from shared.errors import ServiceError


class ForbiddenError(ServiceError):
    status = 403
    title = "Not allowed"


class Needs:
    """The dependency of a route: a good key with this scope, that does not ask too often.

    What is wrong with path and query is told behind that, so that nobody without a key learns of it.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> None:
        wiring = request.app.state.wiring
        key = await wiring.keys.check(request.headers.get("authorization"))
        request.state.caller = key.name
        # The admin key of the settings has no id, and no limit: who has it runs the installation.
        if key.id is not None:
            wiring.rate_limit.take(key.id, key.name)
        if self.scope not in key.scopes and Scope.ADMIN not in key.scopes:
            has = ", ".join(sorted(key.scopes)) or "none"
            raise ForbiddenError(
                "missing_scope",
                f"This needs the scope '{self.scope}'; key '{key.name}' has: {has}. Use another key.",
            )
        check_parameters(request)


def caller_of(request: Request) -> str:
    """The name of the key that a request came with, for the audit."""
    name: str = request.state.caller
    return name


def needs(scope: Scope) -> Any:
    return Depends(Needs(scope))
