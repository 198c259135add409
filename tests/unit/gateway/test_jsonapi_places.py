"""What a path speaks of, by its shape alone; and nothing of the flat interface that JSON:API does not know."""

from __future__ import annotations

import pytest

from services.gateway.app import make_app
from services.gateway.jsonapi import resources
from services.gateway.jsonapi.places import Place, place_of
from services.gateway.jsonapi.queries import PAGE, PASSED
from services.gateway.jsonapi.resources import BY_TYPE, Held, Linked
from services.gateway.settings import GatewaySettings
from shared.contracts.rest import PREFIX

APP = make_app(GatewaySettings())
ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def kinds(place: Place) -> tuple[str | None, str | None]:
    """What it takes and what it answers."""
    return (place.takes and place.takes.type, place.answers and place.answers.type)


@pytest.mark.parametrize(
    ("request_line", "takes", "answers"),
    [
        ("GET /pipelines", None, "pipelines"),
        ("POST /pipelines", "pipelines", "pipelines"),
        ("PUT /pipelines/x", "pipelines", "pipelines"),
        ("POST /pipelines/validate", "pipelines", None),
        ("POST /pipelines/apply", "pipelines", None),
        ("POST /pipelines/x/validate", None, None),
        ("POST /pipelines/x/publish", None, "pipelines"),
        ("POST /pipelines/x/archive", None, "pipelines"),
        ("POST /pipelines/x/execute", None, "pipeline_runs"),
        ("GET /pipelines/x/export", None, None),
        ("POST /pipelines/x/nodes", "nodes", "nodes"),
        ("PUT /pipelines/x/nodes/a", "nodes", "nodes"),
        ("GET /pipelines/x/edges", None, "edges"),
        ("POST /pipelines/x/edges", "edges", "edges"),
        ("GET /pipelines/x/versions", None, "pipeline_versions"),
        ("POST /pipelines/x/versions/2/publish", None, "pipelines"),
        ("GET /pipelines/x/versions/2/difference", None, None),
        ("GET /pipeline_runs", None, "pipeline_runs"),
        (f"POST /pipeline_runs/{ID}/cancel", None, "pipeline_runs"),
        (f"POST /pipeline_runs/{ID}/retry", None, "pipeline_runs"),
        (f"GET /pipeline_runs/{ID}/audit", None, None),
        (f"GET /pipeline_runs/{ID}/node_results", None, "node_results"),
        ("GET /node_types", None, "node_types"),
        ("POST /pipelines/x/webhooks", "webhooks", "webhooks"),
        (f"POST /pipeline_runs/{ID}/webhooks", "webhooks", "webhooks"),
        (f"GET /webhooks/{ID}/deliveries", None, "webhook_deliveries"),
        (f"POST /webhook_deliveries/{ID}/resend", None, "webhook_deliveries"),
        ("POST /api_keys", "api_keys", "api_keys"),
        ("GET /health", None, None),
        ("GET /something/of/later", None, None),
        ("GET /pipelines/x/later", None, None),
        ("GET ", None, None),
    ],
)
def test_a_path_tells_its_resource(request_line: str, takes: str | None, answers: str | None):
    method, path = request_line.split(" ")
    assert kinds(place_of(method, PREFIX + path)) == (takes, answers)


@pytest.mark.parametrize(
    ("request_line", "is_list", "is_action"),
    [
        ("GET /pipelines", True, False),
        ("POST /pipelines", False, False),
        ("GET /pipelines/x", False, False),
        ("GET /pipelines/x/nodes", True, False),
        ("POST /pipelines/x/publish", False, True),
        ("POST /pipelines/validate", False, False),
    ],
)
def test_lists_resources_and_actions_are_told_apart(request_line: str, is_list: bool, is_action: bool):
    method, path = request_line.split(" ")
    place = place_of(method, PREFIX + path)
    assert (place.is_list, place.is_action) == (is_list, is_action)


def test_an_owner_is_named_as_answers_name_it():
    place = place_of("GET", f"{PREFIX}/pipeline_runs/{ID.upper()}/node_results/a")
    assert (place.owner, place.name) == (ID, "a")


def test_links_begin_where_the_routes_do():
    assert resources.link_to("/x", {}).startswith(f"{PREFIX}/")


def sayable(place: Place) -> set[str]:
    """The query parameters that JSON:API has words for."""
    if place.answers is None:
        return set(PASSED)
    asked = {"include" for relation in place.answers.relations.values() if isinstance(relation, Held)}
    asked |= {"sort"} if len(place.answers.orders) > 1 else set()
    return asked | PASSED | ({*PAGE, *place.answers.filters} if place.is_list else set())


OPERATIONS = {
    f"{method.upper()} {path}": {item["name"] for item in operation.get("parameters", []) if item["in"] == "query"}
    for path, methods in APP.openapi()["paths"].items()
    for method, operation in methods.items()
}


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "events" not in name])
def test_every_flat_query_parameter_can_be_said(name: str):
    unsayable = OPERATIONS[name] - sayable(place_of(*name.split(" ")))
    assert unsayable == set(), "add it to `filters` of the resource, or to queries.PASSED"


@pytest.mark.parametrize("resource", resources.ALL, ids=lambda resource: resource.type)
def test_every_relationship_leads_to_a_type_of_the_table(resource: resources.Resource):
    assert {relation.type for relation in resource.relations.values()} <= BY_TYPE.keys()
    held = {relation.field for relation in resource.relations.values() if not isinstance(relation, Linked)}
    assert not held & set(resource.renamed)
