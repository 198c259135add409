"""The OpenAPI document: every route with its body, its answers, examples of all, and just the refusals that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
import yaml
from jsonschema import Draft202012Validator

from services.gateway.app import make_app
from services.gateway.jsonapi.negotiation import MEDIA_TYPE as OURS
from services.gateway.jsonapi.places import place_of
from services.gateway.jsonapi.queries import read_query
from services.gateway.jsonapi.requests import flat_body
from services.gateway.keys import Keys
from services.gateway.openapi.answers import YAML
from services.gateway.openapi.problem_types import EXAMPLES
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import Wiring
from shared.bus.connection import Bus
from shared.contracts.rest import PREFIX
from shared.readiness import Readiness
from tests.scopes import all_routes

BUS = Bus("nats://127.0.0.1:1", "gateway")
APP = make_app(GatewaySettings())
DOCUMENT = APP.openapi()
#: Whoever watches over a gateway has no key.
OPEN = {"/api/v3/health", "/api/v3/ready", "/api/v3/version"}
FLAT = "application/json"
PROBLEM = "application/problem+json"
STREAM = "text/event-stream"
OPERATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    operation["operationId"]: (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
#: What is refused for the state of things, beside documents of another resource.
CONFLICTS = {
    "create_pipeline": {"slug_taken", "another_body"},
    "apply_pipeline": {"pipeline_archived"},
    "update_pipeline": {"slug_taken"},
    "patch_pipeline": {"slug_taken"},
    "publish_pipeline": {"pipeline_archived"},
    "archive_pipeline": {"pipeline_not_published"},
    "publish_version": {"pipeline_archived"},
    "create_node": {"node_exists"},
    "execute_pipeline": {"pipeline_not_published", "pipeline_archived", "another_body", "unstorable_input"},
    "start_run": {"transition_not_allowed"},
    "cancel_run": {"transition_not_allowed"},
    "complete_run": {"transition_not_allowed"},
    "fail_run": {"transition_not_allowed"},
    "retry_run": {"transition_not_allowed", "never_started"},
    "create_pipeline_webhook": {"too_many_webhooks"},
    "create_run_webhook": {"too_many_webhooks"},
}

each_operation = pytest.mark.parametrize("name", OPERATIONS)


def parameters(name: str) -> set[tuple[str, str]]:
    return {(one["in"], one["name"]) for one in OPERATIONS[name][2].get("parameters", [])}


def types_of(name: str, status: int) -> set[str]:
    """Types of problems that an operation may answer with this status."""
    answer = OPERATIONS[name][2]["responses"].get(str(status), {})
    return set(answer.get("content", {}).get(PROBLEM, {"examples": {}})["examples"])


def contents(name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every body and answer: which it is, its media type, and what is said of it."""
    operation = OPERATIONS[name][2]
    said = {"body": operation.get("requestBody", {})} | operation["responses"]
    for what, answer in said.items():
        for kind, content in answer.get("content", {}).items():
            yield what, kind, content


def faults(value: Any, schema: Any) -> list[str]:
    whole = {"$ref": "#/wanted", "wanted": schema, "components": DOCUMENT["components"]}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]


def examples(content: dict[str, Any]) -> list[Any]:
    if "example" in content:
        return [content["example"]]
    return [leads_to(one["$ref"])["value"] for one in content.get("examples", {}).values()]


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


def test_every_route_is_in_the_document_under_the_name_of_its_function():
    written = {(route.name, f"{method} {PREFIX}{route.path}") for route in all_routes() for method in route.methods}
    assert {(name, f"{method.upper()} {path}") for name, (method, path, _) in OPERATIONS.items()} == written


@pytest.mark.parametrize("method_and_path", [f"{method} {path}" for method, path, _ in OPERATIONS.values()])
async def test_every_route_but_the_open_ones_wants_a_key(method_and_path: str):
    method, path = method_and_path.split()
    keys = Keys(None, "a-key-of-ours")
    APP.state.wiring = Wiring(None, None, None, keys, None, Readiness(BUS))  # nothing is behind it
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://gateway") as client:
        answer = await client.request(method, path)
    assert (answer.status_code != 401) is (path in OPEN)


@each_operation
def test_a_route_says_what_it_does_and_that_it_wants_a_key(name: str):
    _, path, operation = OPERATIONS[name]
    assert operation["description"]
    assert operation.get("security") == (None if path in OPEN else [{"key": []}])


@each_operation
def test_every_example_fits_its_schema(name: str):
    found = {(what, kind): examples(content) for what, kind, content in contents(name)}
    assert [place for place, shown in found.items() if not shown] == []
    for what, kind, content in contents(name):
        for shown in examples(content):
            read = yaml.safe_load(shown) if kind == YAML else shown
            assert faults(read, content["schema"]) == [], (what, kind)


@each_operation
def test_bodies_and_answers_are_there_in_both_representations(name: str):
    kinds: dict[str, set[str]] = {}
    for what, kind, _ in contents(name):
        kinds.setdefault(what, set()).add(kind)
    for what, found in kinds.items():
        flat = PROBLEM if what.isdigit() and int(what) >= 400 and name != "ready" else FLAT
        assert {flat, OURS} <= found or found in ({STREAM}, {PROBLEM, OURS}), what


@each_operation
def test_a_body_says_the_same_in_both_representations(name: str):
    method, path, operation = OPERATIONS[name]
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        sent = flat_body(content[OURS]["example"], place_of(method.upper(), path))
        assert sent.flat == content[FLAT]["example"]


@each_operation
def test_every_parameter_is_described_with_an_example_that_fits(name: str):
    for parameter in OPERATIONS[name][2].get("parameters", []):
        assert parameter["description"], parameter["name"]
        assert faults(parameter["example"], parameter["schema"]) == [], parameter["name"]


@each_operation
def test_what_is_said_of_queries_of_json_api_is_taken(name: str):
    method, path, operation = OPERATIONS[name]
    said = re.findall("`([^`]+)`", operation["description"].partition("As JSON:API")[2])
    place = place_of(method.upper(), path)
    for one in said:
        query, _, values = one.replace("TYPE", "pipelines").partition("=")
        for value in values.split("|"):
            read_query(f"{query}={value}", place)
    is_list = place.answers is not None and place.is_list
    assert is_list == any(one.startswith(("sort", "page", "filter")) for one in said)


@each_operation
def test_just_what_can_be_refused_is_said(name: str):
    method, path, operation = OPERATIONS[name]
    told = {int(status) for status in operation["responses"] if int(status) >= 400} - {409}
    names = {name for _, name in parameters(name)}
    is_guarded = path not in OPEN
    can = {400, 406}
    can |= {401, 403, 429, 503} if is_guarded else {503} if name == "ready" else set()
    can |= {404} if "{" in path or ("query", "pipeline") in parameters(name) else set()
    can |= {412} if "if-match" in names else set()
    can |= {413} if "requestBody" in operation else set()
    can |= {415} if method in ("post", "put", "patch") else set()
    can |= {422} if is_guarded or names else set()
    assert told == can


@each_operation
def test_conflicts_are_those_of_the_route(name: str):
    method, path, operation = OPERATIONS[name]
    takes = "requestBody" in operation and place_of(method.upper(), path).takes is not None
    assert types_of(name, 409) == CONFLICTS.get(name, set()) | ({"another_resource"} if takes else set())


@each_operation
def test_every_type_of_problem_is_said_under_its_status(name: str):
    for status in OPERATIONS[name][2]["responses"]:
        for kind in types_of(name, int(status)):
            assert EXAMPLES[kind].status == int(status)
            assert f"`{kind}`" in OPERATIONS[name][2]["responses"][status]["description"]


@each_operation
def test_headers_are_said_of_what_has_them(name: str):
    for status, answer in OPERATIONS[name][2]["responses"].items():
        headers = set(answer.get("headers", {}))
        refused = {"401": {"WWW-Authenticate"}, "429": {"Retry-After"}, "503": {"Retry-After"}}
        if status in refused and name != "ready":
            assert headers == refused[status]
        elif status in ("201", "202"):
            assert "Location" in headers or name == "resend_delivery"


@pytest.mark.parametrize("name", ["get_pipeline", "update_pipeline", "publish_pipeline", "get_node", "create_edge"])
def test_what_has_a_revision_has_an_etag(name: str):
    answers = OPERATIONS[name][2]["responses"]
    assert all("ETag" in answer["headers"] for status, answer in answers.items() if status.startswith("2"))


@pytest.mark.parametrize("name", ["run_events", "all_events"])
def test_a_stream_shows_events_that_fit(name: str):
    content = OPERATIONS[name][2]["responses"]["200"]["content"][STREAM]
    events = []
    for text in content["example"].strip().split("\n\n"):
        events.append(dict(line.split(": ", 1) for line in text.split("\n")))
    wanted = content["schema"]["contentSchema"]
    assert faults(events, wanted) == []
    kinds = {one["properties"]["event"]["const"]: one["properties"]["data"] for one in wanted["items"]["oneOf"]}
    for event in events:
        assert faults(orjson.loads(event["data"]), kinds[event["event"]]["contentSchema"]) == []


@pytest.mark.parametrize(
    ("name", "status", "others"),
    [
        ("create_pipeline", "201", {"get_pipeline", "publish_pipeline", "execute_pipeline", "create_node"}),
        ("execute_pipeline", "202", {"get_run", "cancel_run", "run_events", "list_node_results", "retry_run"}),
        ("create_node", "201", {"get_node", "update_node", "delete_node"}),
        ("create_api_key", "201", {"get_api_key", "revoke_api_key"}),
    ],
)
def test_what_was_made_leads_to_what_can_be_done_with_it(name: str, status: str, others: set[str]):
    assert others <= set(OPERATIONS[name][2]["responses"][status]["links"])


@each_operation
def test_every_link_gives_what_the_other_path_names(name: str):
    for answer in OPERATIONS[name][2]["responses"].values():
        for link in answer.get("links", {}).values():
            needed = {one for where, one in parameters(link["operationId"]) if where == "path"}
            assert set(link["parameters"]) == needed
            for place in link["parameters"].values():
                assert place.removeprefix("$response.body#/") in answer["content"][FLAT]["example"]


def test_a_field_with_a_default_may_be_left_out_of_a_body():
    assert leads_to("#/components/schemas/PipelineDocument-Input")["required"] == ["name"]


def test_every_reference_leads_somewhere():
    assert {reference for reference in references(DOCUMENT) if leads_to(reference) is None} == set()
