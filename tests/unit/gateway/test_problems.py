"""Refusals: every one is problem details, in words that say what, where and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Query, Request
from pydantic import ValidationError
from starlette.types import Message
from structlog.testing import capture_logs

from services.gateway.bodies import read_json, read_object
from services.gateway.keys import UnauthorizedError
from services.gateway.problems import add_problem_handlers
from services.gateway.routes.webhooks import NewWebhook
from shared.bus.rpc import invalid_body
from shared.contracts.problems import FieldProblem, Problem
from shared.errors import ConflictError, InvalidError, NotFoundError, ServiceError, TooLargeError, UnavailableError


def app() -> FastAPI:
    """Routes that read bodies and refuse, without anything behind them."""
    made = FastAPI()
    add_problem_handlers(made)

    @made.get("/limited")
    async def limited(limit: Annotated[int, Query(ge=1)]) -> int:
        return limit

    @made.post("/json")
    async def json(request: Request) -> object:
        return await read_json(request, limit=100)

    @made.post("/object")
    async def object_(request: Request) -> object:
        return await read_object(request)

    @made.get("/fault")
    async def fault() -> None:
        raise RuntimeError("a secret of ours")

    return made


async def test_who_leaves_before_the_body_is_whole_is_no_fault():
    told: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        told.append(message)

    scope = {"type": "http", "method": "POST", "path": "/json", "query_string": b"", "headers": []}
    with capture_logs() as logs:
        await app()(scope, receive, send)

    assert told[0]["status"] == 499
    assert logs == []


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as made:
        yield made


async def answer_to(error: ServiceError) -> httpx.Response:
    """What a caller gets when a route raises this."""
    made = app()

    @made.get("/refused")
    async def refused() -> None:
        raise error

    async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://gateway") as client:
        return await client.get("/refused")


@pytest.mark.parametrize(
    ("kind", "status"),
    [(UnauthorizedError, 401), (NotFoundError, 404), (ConflictError, 409), (InvalidError, 422), (TooLargeError, 413)],
)
async def test_a_refusal_has_the_status_of_its_kind(kind: type[ServiceError], status: int):
    answer = await answer_to(kind("some_type", "Some words."))
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_refusal_names_every_place_at_fault():
    found = FieldProblem(pointer="/nodes/0", detail="is wrong")
    answer = await answer_to(InvalidError("invalid_pipeline", "Wrong.", [found]))
    assert answer.json()["errors"] == [{"pointer": "/nodes/0", "detail": "is wrong"}]


async def test_who_may_try_again_is_told_when_in_whole_seconds():
    answer = await answer_to(UnavailableError("away", "Away.", retry_after_s=1.2))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_who_has_no_key_is_told_which_kind_is_wanted():
    answer = await answer_to(UnauthorizedError("missing_key", "This needs a key."))
    assert answer.headers["www-authenticate"] == 'Bearer realm="pipewright"'


async def test_a_wrong_parameter_is_named(client: httpx.AsyncClient):
    answer = await client.get("/limited?limit=0")
    assert answer.status_code == 422
    assert [found["pointer"] for found in answer.json()["errors"]] == ["/query/limit"]


def test_a_place_is_told_as_a_json_pointer_whatever_its_name():
    with pytest.raises(ValidationError) as refused:
        NewWebhook.model_validate({"url": "https://example.org", "a/b~c": 1})
    assert [found.pointer for found in invalid_body(refused.value).problem.errors] == ["/a~1b~0c"]


async def test_an_unknown_path_points_to_the_documentation(client: httpx.AsyncClient):
    answer = await client.get("/nowhere")
    assert (answer.status_code, "/docs lists all routes" in answer.json()["detail"]) == (404, True)


async def test_a_wrong_method_says_which_are_right(client: httpx.AsyncClient):
    answer = await client.delete("/limited")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_a_fault_of_ours_tells_nothing_of_itself(client: httpx.AsyncClient):
    with capture_logs() as logged:
        answer = await client.get("/fault")
    assert (answer.status_code, Problem.model_validate(answer.json()).type) == (500, "internal_error")
    assert "secret" not in answer.text
    assert [line["event"] for line in logged] == ["a request failed"]


async def test_a_body_is_json(client: httpx.AsyncClient):
    assert (await client.post("/json", content=b'{"a": [1, null]}')).json() == {"a": [1, None]}


async def test_no_body_is_an_empty_object(client: httpx.AsyncClient):
    assert (await client.post("/object")).json() == {}


async def test_a_body_over_the_limit_is_refused(client: httpx.AsyncClient):
    answer = await client.post("/json", content=b'"' + b"x" * 99 + b'"')
    assert (answer.status_code, answer.json()["type"]) == (413, "body_too_large")


async def test_a_body_at_the_limit_is_taken(client: httpx.AsyncClient):
    assert (await client.post("/json", content=b'"' + b"x" * 98 + b'"')).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b'{"a": NaN}', b'{"a": 1} x', b'"\xff"'])
async def test_what_is_not_json_is_refused(client: httpx.AsyncClient, body: bytes):
    answer = await client.post("/json", content=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid_json")


@pytest.mark.parametrize("depth", [102, 256, 1000])
async def test_a_body_that_is_nested_too_deep_is_refused(client: httpx.AsyncClient, depth: int):
    answer = await client.post("/object", content=b'{"a":' * depth + b"1" + b"}" * depth)
    assert (answer.status_code, answer.json()["type"]) == (422, "unstorable_body")
    assert "inside each other" in answer.json()["detail"]


async def test_the_zero_character_is_refused_with_its_place(client: httpx.AsyncClient):
    answer = await client.post("/json", content=rb'{"a": ["b", "c\u0000"]}')
    assert (answer.status_code, answer.json()["type"]) == (422, "unstorable_body")
    assert [found["pointer"] for found in answer.json()["errors"]] == ["/a/1"]


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null"])
async def test_where_an_object_is_wanted_nothing_else_is_taken(client: httpx.AsyncClient, body: bytes):
    answer = await client.post("/object", content=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid_json")
