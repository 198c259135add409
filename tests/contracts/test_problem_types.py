"""Every type of problem that a service may answer is in the catalogue that the OpenAPI document shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from services.gateway.openapi.problem_types import EXAMPLES
from shared import errors
from shared.errors import ServiceError

ROOT = Path(__file__).parents[2]
FOLDERS = ("services/gateway", "services/definition", "services/coordinator", "shared/bus")
CATALOGUE = ROOT / "services/gateway/openapi/problem_types.py"
#: What no route promises: a fault of ours, paths that are no routes, and what a client alone says.
NO_PROMISE = {"internal_error", "http_error", "nats_unavailable"}
#: Named by a variable where they are raised.
ELSEWHERE = {"node_not_found", "edge_not_found", "invalid_query", "invalid_document", "client_generated_id"} | {
    "another_resource"
}
OWN = {"ForbiddenError", "UnauthorizedError", "RateLimitedError", "NotAcceptableError", "UnsupportedMediaTypeError"}


def raised() -> Iterator[tuple[str, str]]:
    """The type and the class of each refusal that is written down."""
    known = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ServiceError)}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            if path != CATALOGUE:
                for node in ast.walk(ast.parse(path.read_text())):
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                        first = _first(node)
                        if node.func.id in known | OWN | {"Problem"} and first is not None:
                            yield first, node.func.id


def _first(call: ast.Call) -> str | None:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "type"]
    for value in [*call.args[:1], *named]:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return None


def test_every_type_that_is_raised_is_in_the_catalogue():
    assert {kind for kind, _ in raised()} - NO_PROMISE - set(EXAMPLES) == set()


def test_nothing_is_in_the_catalogue_that_is_never_raised():
    assert set(EXAMPLES) - {kind for kind, _ in raised()} - ELSEWHERE == set()


def test_a_type_has_one_status():
    statuses = {(kind, getattr(errors, name).status) for kind, name in raised() if name not in OWN | {"Problem"}}
    promised = {(kind, status) for kind, status in statuses if kind not in NO_PROMISE}
    assert {(kind, EXAMPLES[kind].status) for kind, _ in promised} == promised
