"""Which scope each route of the gateway names, read from its dependencies."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from services.gateway import routes as routers
from services.gateway.access import Needs
from shared.contracts.api_keys import Scope
from shared.contracts.rest import PREFIX


def needed_scopes() -> dict[str, set[Scope]]:
    """By method and path; empty for a route that anybody may use."""
    return {
        f"{method} {PREFIX}{route.path}": _scopes(route.dependant) for route in all_routes() for method in route.methods
    }


def all_routes() -> Iterator[APIRoute]:
    """Of every module in `routes/` that has any, so that a router which is left out of the application is missed."""
    for found in pkgutil.iter_modules(routers.__path__):
        router = getattr(import_module(f"{routers.__name__}.{found.name}"), "router", None)
        yield from router.routes if router is not None else ()


def _scopes(dependant: Dependant) -> set[Scope]:
    own = {dependant.call.scope} if isinstance(dependant.call, Needs) else set()
    return own.union(*(_scopes(inner) for inner in dependant.dependencies))
