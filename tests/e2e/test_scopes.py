"""What each scope opens: every route of the document with no key, a wrong one, and a key of each scope."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from uuid import uuid4

import httpx
import pytest

from shared.contracts.api_keys import Scope
from tests.scopes import needed_scopes
from tests.stack import Stack

NEEDED = {name: next(iter(scopes), None) for name, scopes in needed_scopes().items()}
GUARDED = {name: scope for name, scope in NEEDED.items() if scope is not None}
#: Leads to nothing, so that a key that fits changes nothing either.
NOWHERE = {"pipeline": "no-such-pipeline", "key": "nothing", "node_key": "nothing", "number": "1"}

#: Found nothing, found a fault in an empty body, or did it; nothing that fails by itself.
ANSWERED = {200, 201, 204, 400, 404, 409, 412, 422}


@pytest.fixture(scope="module", name="anyone")
async def _anyone(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Without a key of its own; one for all, since making one takes longer than a request."""
    async with httpx.AsyncClient(base_url=stack.gateway, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
async def made(api: httpx.AsyncClient) -> dict[Scope, str]:
    """A key for each scope alone."""
    answers = {scope: await api.post("/api_keys", json={"name": f"only {scope}", "scopes": [scope]}) for scope in Scope}
    return {scope: answer.json()["key"] for scope, answer in answers.items()}


def test_the_matrix_has_every_route_of_the_document(stack: Stack) -> None:
    paths = httpx.get(f"{stack.gateway}/openapi.json").json()["paths"]

    assert {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods} == set(NEEDED)


@pytest.mark.parametrize("name", GUARDED)
@pytest.mark.parametrize("key", [None, "wrong-key", "pw_" + "x" * 43])
async def test_without_a_good_key_nothing_is_to_be_had(anyone: httpx.AsyncClient, name: str, key: str | None) -> None:
    code, words = await call(anyone, name, key)

    assert code == 401
    assert "API key" in words


@pytest.mark.parametrize(("name", "scope"), list(product(GUARDED, Scope)))
async def test_a_scope_opens_its_routes_and_no_other(
    anyone: httpx.AsyncClient, made: dict[Scope, str], name: str, scope: Scope
) -> None:
    needed = GUARDED[name]

    code, words = await call(anyone, name, made[scope])

    if scope in (needed, Scope.ADMIN):
        assert code in ANSWERED, words
    else:
        assert code == 403
        assert f"needs the scope '{needed}'" in words
        assert f"has: {scope}" in words


async def call(client: httpx.AsyncClient, name: str, key: str | None) -> tuple[int, str]:
    """Status and words of the refusal, if it is one; streams that go on for ever are not read."""
    method, path = name.split()
    ids = {f"{what}_id": uuid4() for what in ("run", "edge", "key", "webhook", "delivery")}
    headers = {"authorization": f"Bearer {key}"} if key is not None else {}
    body = {} if method in ("POST", "PUT", "PATCH") else None
    async with client.stream(method, path.format_map(ids | NOWHERE), headers=headers, json=body) as answer:
        words = (await answer.aread()).decode() if answer.is_error else ""
        return answer.status_code, words
