"""The OpenAPI document: every route with its refusals, and nothing that leads nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.gateway.app import make_app
from services.gateway.keys import Keys
from services.gateway.openapi import REFUSALS
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import Wiring
from shared.bus.connection import Bus
from shared.contracts.rest import PREFIX
from shared.readiness import Readiness
from tests.scopes import all_routes

BUS = Bus("nats://127.0.0.1:1", "gateway")
APP = make_app(GatewaySettings(), BUS)
DOCUMENT = APP.openapi()
#: Whoever watches over a gateway has no key.
OPEN = {"/api/v3/health", "/api/v3/ready", "/api/v3/version"}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem-Input"}}}


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def guarded() -> list[Any]:
    return [pytest.param(operation, id=name) for name, operation in operations() if name.split()[1] not in OPEN]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def leads_to(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def test_every_route_is_in_the_document():
    written = {f"{method} {PREFIX}{route.path}" for route in all_routes() for method in route.methods}
    assert {name for name, _ in operations()} == written


@pytest.mark.parametrize("name", [name for name, _ in operations()])
async def test_every_route_but_the_open_ones_wants_a_key(name: str):
    method, path = name.split()
    keys = Keys(None, "a-key-of-ours")
    APP.state.wiring = Wiring(None, None, None, keys, None, Readiness(BUS))  # nothing is behind it
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://gateway") as client:
        answer = await client.request(method, path)
    assert (answer.status_code != 401) is (path in OPEN)


@pytest.mark.parametrize("operation", guarded())
def test_a_route_lists_its_refusals_as_problem_details(operation: dict[str, Any]):
    told = {int(status): answer.get("content") for status, answer in operation["responses"].items()}
    assert {status: told.get(status) for status in REFUSALS} == dict.fromkeys(REFUSALS, PROBLEM)


@pytest.mark.parametrize("operation", guarded())
def test_a_route_says_what_it_does_and_that_it_wants_a_key(operation: dict[str, Any]):
    assert operation["description"]
    assert operation["security"] == [{"key": []}]


@pytest.mark.parametrize("path", ["/api/v3/pipelines", "/api/v3/pipelines/{pipeline}/execute"])
def test_a_route_that_takes_a_body_shows_its_schema(path: str):
    schema = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "properties" in leads_to(schema["$ref"])


def test_a_field_with_a_default_may_be_left_out_of_a_body():
    assert leads_to("#/components/schemas/PipelineDocument-Input")["required"] == ["name"]


def test_every_reference_leads_somewhere():
    assert {reference for reference in references(DOCUMENT) if leads_to(reference) is None} == set()
