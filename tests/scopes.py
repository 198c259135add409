"""Which scope each route of the gateway names, read from its dependencies."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from services.gateway import routes as routers
from services.gateway.access import Needs, Scope
from services.gateway.app import PREFIX


def needed_scopes() -> dict[str, set[Scope]]:
    """By method and path; empty for a route that anybody may use."""
    return {
        f"{method} {PREFIX}{route.path}": _scopes(route.dependant) for route in _routes() for method in route.methods
    }


def _routes() -> Iterator[APIRoute]:
    for found in pkgutil.iter_modules(routers.__path__):
        yield from import_module(f"{routers.__name__}.{found.name}").router.routes


def _scopes(dependant: Dependant) -> set[Scope]:
    own = {dependant.call.scope} if isinstance(dependant.call, Needs) else set()
    return own.union(*(_scopes(inner) for inner in dependant.dependencies))
