"""The way through: who asks in JSON:API is answered so, and nobody else notices anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import orjson
import pytest
from fastapi import FastAPI, Query, Request, Response
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import StreamingResponse
from structlog.testing import capture_logs

from services.gateway.bodies import BODY_LIMIT, read_json
from services.gateway.jsonapi.middleware import LARGE, add_jsonapi
from services.gateway.problems import add_problem_handlers
from services.gateway.wiring import answer
from shared.contracts.problems import FieldProblem
from shared.contracts.rest import PREFIX
from shared.errors import ConflictError, InvalidError, UnavailableError

OURS = "application/vnd.api+json"
ASKED = {"accept": OURS}
BROUGHT = {"content-type": OURS}
P = "01890a5d-ac96-774b-bcce-b302099a8057"
PIPELINE = {"id": P, "slug": "x", "name": "X", "revision": 3}


def app() -> FastAPI:
    """Flat routes as the gateway has them, with nothing behind them."""
    made = FastAPI()
    add_problem_handlers(made)
    add_jsonapi(made)
    made.add_middleware(GZipMiddleware, minimum_size=2048)

    @made.get(f"{PREFIX}/pipelines")
    async def pipelines(
        limit: Annotated[int, Query(ge=1, le=200)] = 50, after: str | None = None, status: str | None = None
    ) -> Response:
        asked = {"limit": limit, "after": after, "status": status}
        return answer({"pipelines": [PIPELINE | {"asked": asked}], "next_after": "y"})

    @made.post(f"{PREFIX}/pipelines")
    async def create(request: Request) -> Response:
        body = await read_json(request)
        headers = {"location": f"{PREFIX}/pipelines/{P}", "etag": '"3"'}
        return answer(PIPELINE | {"was_sent": body}, 201, headers)

    @made.post(PREFIX + "/pipelines/{name}/nodes")
    async def refuse(name: str, request: Request) -> Response:
        await read_json(request)
        findings = [FieldProblem(pointer="/type", detail="Unknown."), FieldProblem(pointer="/key", detail="Missing.")]
        raise InvalidError("invalid_node", "Wrong.", findings)

    @made.post(PREFIX + "/pipelines/{name}/publish")
    async def publish(name: str) -> Response:
        raise ConflictError("archived", "It is archived.")

    @made.get(PREFIX + "/pipelines/{name}/export")
    async def export(name: str) -> Response:
        return Response("name: X\n", media_type="application/yaml")

    @made.get(PREFIX + "/pipeline_runs/{run_id}/events")
    async def events(run_id: str) -> Response:
        return StreamingResponse(iter(["data: 1\n\n", "data: 2\n\n"]), media_type="text/event-stream")

    @made.delete(PREFIX + "/pipelines/{name}")
    async def delete(name: str) -> Response:
        return Response(status_code=204)

    @made.get(f"{PREFIX}/node_types")
    async def node_types() -> Response:
        return answer({"node_types": [{"node_type": "text", "description": "x" * LARGE}]})

    @made.get(f"{PREFIX}/ready")
    async def away() -> Response:
        raise UnavailableError("away", "Nobody answers.", retry_after_s=1.5)

    @made.get(f"{PREFIX}/fault")
    async def fault() -> None:
        raise RuntimeError("a secret of ours")

    @made.get("/elsewhere")
    async def elsewhere() -> Response:
        return answer({"id": 1})

    return made


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as made:
        yield made


async def test_who_asks_is_answered_with_a_document(client: httpx.AsyncClient):
    answered = await client.get(f"{PREFIX}/pipelines?page[limit]=2&filter[status]=active", headers=ASKED)
    assert answered.status_code == 200
    assert answered.headers["content-type"] == OURS
    assert "Accept" in answered.headers["vary"]
    assert int(answered.headers["content-length"]) == len(answered.content)
    [found] = answered.json()["data"]
    assert found["attributes"]["asked"] == {"limit": 2, "after": None, "status": "active"}


async def test_the_link_to_the_next_page_can_be_followed(client: httpx.AsyncClient):
    first = (await client.get(f"{PREFIX}/pipelines?page[limit]=2", headers=ASKED)).json()
    second = (await client.get(first["links"]["next"], headers=ASKED)).json()
    assert second["data"][0]["attributes"]["asked"] == {"limit": 2, "after": "y", "status": None}


async def test_who_does_not_ask_is_answered_as_ever(client: httpx.AsyncClient):
    answered = await client.get(f"{PREFIX}/pipelines?limit=2&include=whatever")
    assert answered.headers["content-type"] == "application/json"
    assert "Accept" in answered.headers["vary"].split(", ")
    assert answered.json()["pipelines"][0]["asked"]["limit"] == 2


async def test_a_document_is_created_with_the_headers_of_the_flat_answer(client: httpx.AsyncClient):
    document = {"data": {"type": "pipelines", "attributes": {"name": "X"}}}
    made = await client.post(f"{PREFIX}/pipelines", content=orjson.dumps(document), headers=ASKED | BROUGHT)
    assert made.status_code == 201
    assert made.headers["etag"] == '"3"'
    assert made.headers["location"] == made.json()["data"]["links"]["self"] == f"{PREFIX}/pipelines/{P}"
    assert made.json()["data"]["attributes"]["was_sent"] == {"name": "X"}


async def test_either_side_may_be_flat(client: httpx.AsyncClient):
    document = orjson.dumps({"data": {"type": "pipelines", "attributes": {"name": "X"}}})
    brought = await client.post(f"{PREFIX}/pipelines", content=document, headers=BROUGHT)
    asked = await client.post(f"{PREFIX}/pipelines", json={"name": "X"}, headers=ASKED)
    assert brought.json()["was_sent"] == asked.json()["data"]["attributes"]["was_sent"] == {"name": "X"}


async def test_findings_lead_to_their_places_in_the_document(client: httpx.AsyncClient):
    document = orjson.dumps({"data": {"type": "nodes", "attributes": {"node_type": "txt"}}})
    refused = await client.post(f"{PREFIX}/pipelines/x/nodes", content=document, headers=ASKED | BROUGHT)
    assert (refused.status_code, refused.headers["content-type"]) == (422, OURS)
    assert [(error["source"]["pointer"], error["detail"]) for error in refused.json()["errors"]] == [
        ("/data/attributes/node_type", "Unknown."),
        ("/data/attributes", "/key: Missing."),
    ]


async def test_a_parameter_out_of_bounds_has_the_name_that_was_sent(client: httpx.AsyncClient):
    refused = await client.get(f"{PREFIX}/pipelines?page[limit]=0", headers=ASKED)
    [error] = refused.json()["errors"]
    assert (refused.status_code, error["source"]) == (422, {"parameter": "page[limit]"})


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        (f"GET {PREFIX}/pipelines?sort=name", 400, "invalid_query"),
        (f"GET {PREFIX}/pipelines?limit=2", 400, "invalid_query"),
        (f"POST {PREFIX}/pipelines/x/publish", 409, "archived"),
        (f"GET {PREFIX}/nothing", 404, "http_error"),
        (f"PATCH {PREFIX}/pipelines", 405, "http_error"),
        (f"GET {PREFIX}/ready", 503, "away"),
    ],
)
async def test_a_refusal_is_an_error_document(client: httpx.AsyncClient, request_line: str, status: int, code: str):
    refused = await client.request(*request_line.split(" "), headers=ASKED)
    assert (refused.status_code, refused.headers["content-type"]) == (status, OURS)
    assert [(error["status"], error["code"]) for error in refused.json()["errors"]] == [(str(status), code)]


async def test_who_may_try_again_is_told_when(client: httpx.AsyncClient):
    refused = await client.get(f"{PREFIX}/ready", headers=ASKED)
    assert refused.headers["retry-after"] == "2"
    assert refused.json()["errors"][0]["meta"] == {"retry_after_s": 1.5}


async def test_a_fault_is_told_as_one_and_nothing_else(client: httpx.AsyncClient):
    with capture_logs():
        refused = await client.get(f"{PREFIX}/fault", headers=ASKED)
    assert (refused.status_code, refused.headers["content-type"]) == (500, OURS)
    assert refused.json()["errors"][0]["code"] == "internal_error"
    assert "secret" not in refused.text


async def test_a_fault_is_told_flat_to_who_asks_so(client: httpx.AsyncClient):
    with capture_logs():
        refused = await client.get(f"{PREFIX}/fault")
    assert (refused.headers["content-type"], refused.json()["type"]) == ("application/problem+json", "internal_error")


@pytest.mark.parametrize(
    ("headers", "status", "media_type"),
    [
        ({"accept": f"{OURS};charset=utf-8"}, 406, OURS),
        ({"content-type": f"{OURS};charset=utf-8"}, 415, "application/problem+json"),
        ({"content-type": f"{OURS};charset=utf-8", "accept": OURS}, 415, OURS),
    ],
)
async def test_media_types_with_other_parameters_are_refused(
    client: httpx.AsyncClient, headers: dict[str, str], status: int, media_type: str
):
    refused = await client.post(f"{PREFIX}/pipelines", content=b"{}", headers=headers)
    assert (refused.status_code, refused.headers["content-type"]) == (status, media_type)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 422, "invalid_json"),
        (b"[]", 400, "invalid_document"),
        (b"", 400, "invalid_document"),
        (b'{"data": {"type": "nodes"}}', 409, "another_resource"),
        (b'{"data": {"type": "pipelines", "id": "1"}}', 403, "client_generated_id"),
        (b" " * (BODY_LIMIT * 16 + 1), 413, "body_too_large"),
        (b'{"data":' * 256 + b"1" + b"}" * 256, 422, "unstorable_body"),
    ],
)
async def test_a_body_that_is_no_document_is_refused(client: httpx.AsyncClient, body: bytes, status: int, code: str):
    refused = await client.post(f"{PREFIX}/pipelines", content=body, headers=ASKED | BROUGHT)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (status, code)


async def test_only_pipelines_may_be_large(client: httpx.AsyncClient):
    body = b" " * (BODY_LIMIT + 1)
    refused = await client.post(f"{PREFIX}/pipelines/x/nodes", content=body, headers=ASKED | BROUGHT)
    assert refused.status_code == 413


@pytest.mark.parametrize("path", ["/pipelines/x/export", f"/pipeline_runs/{P}/events"])
async def test_what_is_not_json_passes_as_it_is(client: httpx.AsyncClient, path: str):
    flat, asked = await client.get(PREFIX + path), await client.get(PREFIX + path, headers=ASKED)
    assert (asked.text, asked.headers) == (flat.text, flat.headers)


async def test_events_come_one_by_one():
    """Each part leaves as it comes, before the next one is made."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": f"{PREFIX}/pipeline_runs/{P}/events",
        "query_string": b"",
        "headers": [(b"accept", b"text/event-stream, application/vnd.api+json")],
        "asgi": {"spec_version": "2.4"},
    }
    await app()(scope, receive, send)
    assert [message.get("body") for message in sent[1:3]] == [b"data: 1\n\n", b"data: 2\n\n"]


async def test_what_has_no_body_stays_so(client: httpx.AsyncClient):
    deleted = await client.delete(f"{PREFIX}/pipelines/x", headers=ASKED)
    assert (deleted.status_code, deleted.content) == (204, b"")


async def test_large_documents_are_compressed(client: httpx.AsyncClient):
    answered = await client.get(f"{PREFIX}/node_types", headers=ASKED)
    assert answered.headers["content-encoding"] == "gzip"
    assert answered.json()["data"][0]["id"] == "text"


async def test_nothing_else_of_the_gateway_is_touched(client: httpx.AsyncClient):
    assert (await client.get("/elsewhere", headers=ASKED)).json() == {"id": 1}
