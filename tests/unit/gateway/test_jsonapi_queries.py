"""Query parameters of JSON:API as flat ones, and refusals that name what is possible."""

from __future__ import annotations

import pytest

from services.gateway.jsonapi.places import place_of
from services.gateway.jsonapi.queries import Wish, own_link, page_link, read_query
from services.gateway.jsonapi.refusals import BadQueryError
from shared.contracts.rest import PREFIX


def wish(request_line: str) -> Wish:
    method, _, rest = request_line.partition(" ")
    path, _, query = rest.partition("?")
    return read_query(query, place_of(method, PREFIX + path))


def refusal(request_line: str) -> tuple[str, str]:
    """The parameter at fault and what is said of it."""
    with pytest.raises(BadQueryError) as caught:
        wish(request_line)
    assert caught.value.problem.status == 400
    [finding] = caught.value.problem.errors
    return finding.pointer.removeprefix("/query/"), finding.detail


@pytest.mark.parametrize(
    ("request_line", "flat"),
    [
        ("GET /pipelines", ""),
        ("GET /pipelines?sort=slug", "sort=slug"),
        ("GET /pipelines?sort=-slug&page[limit]=2", "sort=-slug&limit=2"),
        ("GET /pipeline_runs?sort=created_at", "sort=created_at"),
        ("GET /node_types?sort=id", ""),
        ("GET /pipelines?page[limit]=2&page[after]=greeting", "limit=2&after=greeting"),
        ("GET /pipelines?page%5Blimit%5D=2", "limit=2"),
        ("GET /pipelines?filter[status]=active", "status=active"),
        ("GET /pipelines?filter[status]=", "status="),
        ("GET /pipeline_runs?sort=-created_at&filter[pipeline_id]=7", "sort=-created_at&pipeline_id=7"),
        ("GET /pipeline_runs/7?include=node_results", "include=node_results"),
        ("GET /pipeline_runs/7?include=node_results,node_results.attempts", "include=node_results"),
        ("GET /pipeline_runs/7?include=", ""),
        ("GET /pipelines/x?include=nodes,edges", ""),
        ("GET /pipelines/x/versions?sort=-number", "sort=-number"),
        ("POST /pipelines/x/execute?wait=10", "wait=10"),
        ("GET /pipelines/x?fields[pipelines]=name&fields[nodes]=key", ""),
        ("GET /pipelines?filter[status]=a%26limit%3D9", "status=a%26limit%3D9"),
    ],
)
def test_a_query_is_said_flat(request_line: str, flat: str):
    assert wish(request_line).flat_query == flat


def test_includes_form_a_tree():
    assert wish("GET /pipeline_runs/7?include=node_results.attempts").include == {"node_results": {"attempts": {}}}


def test_fields_are_kept_by_type():
    found = wish("GET /pipelines?fields[pipelines]=name,slug&fields[nodes]=").fields
    assert found == {"pipelines": {"name", "slug"}, "nodes": frozenset()}


def test_the_names_of_the_client_are_remembered():
    found = wish("GET /pipeline_runs?page[limit]=2&filter[status]=failed").names
    assert found == {"limit": "page[limit]", "status": "filter[status]"}


@pytest.mark.parametrize(
    ("request_line", "parameter", "possible"),
    [
        ("GET /pipelines?sort=name", "sort", "Possible: slug, -slug."),
        ("GET /pipeline_runs?sort=status", "sort", "Possible: -created_at, created_at."),
        ("GET /node_types?sort=-id", "sort", "Possible: id."),
        ("GET /pipelines?fields[pipelines]=slug,naem", "fields[pipelines]", "Did you mean 'name'? Possible: active_"),
        ("GET /pipelines/x?fields[nodes]=type", "fields[nodes]", "node_type, on_error, pipeline,"),
        ("GET /pipeline_runs/7?sort=-created_at", "sort", "Leave it out."),
        ("POST /pipelines?sort=slug", "sort", "Leave it out."),
        ("GET /pipelines?page[number]=2", "page[number]", "Possible: page[limit], page[after]."),
        ("GET /pipelines/x?page[limit]=2", "page[limit]", "Leave it out."),
        ("GET /node_types?page[limit]=2", "page[limit]", "Leave it out."),
        ("GET /pipelines?filter[name]=x", "filter[name]", "Possible: filter[status]."),
        ("GET /pipelines?filter[]=x", "filter[]", "Possible: filter[status]."),
        ("GET /pipelines?fields[books]=x", "fields[books]", "Possible: api_keys, attempts, edges,"),
        ("GET /pipelines?include=nodes", "include", "'nodes' cannot be included here. Leave it out."),
        ("GET /pipelines/x?include=versions", "include", "Possible: nodes, edges."),
        ("GET /pipelines/x?include=nodes.pipeline", "include", "Possible: nodes, edges."),
        ("GET /pipeline_runs/7?include=x", "include", "Possible: node_results, node_results.attempts."),
        ("POST /pipelines/x/execute?include=node_results", "include", "Leave it out."),
        ("POST /pipeline_runs/7/cancel?include=node_results", "include", "Leave it out."),
        ("GET /health?include=x", "include", "Leave it out."),
        ("GET /pipelines?limit=2", "limit", "page[limit]"),
        ("GET /pipelines?sorted=slug", "sorted", "Possible: sort=slug|-slug, filter[status], page[limit],"),
        ("GET /health?x=1", "x", "Leave it out."),
        ("POST /pipelines/x/execute?wiat=1", "wiat", "Did you mean 'wait'? Possible: fields[TYPE]."),
        ("GET /pipelines?page=2", "page", "page[limit]"),
        ("GET /pipelines?x[y]=2", "x[y]", "is not known"),
        ("GET /pipelines?filter[a][b]=2", "filter[a][b]", "is not known"),
    ],
)
def test_what_is_not_possible_is_refused_with_what_is(request_line: str, parameter: str, possible: str):
    at_fault, said = refusal(request_line)
    assert at_fault == parameter
    assert possible in said


@pytest.mark.parametrize(
    ("query", "after", "link"),
    [
        ("", None, "/list"),
        ("", "a b", "/list?page%5Bafter%5D=a+b"),
        ("page[limit]=2&page[after]=x", "y", "/list?page%5Blimit%5D=2&page%5Bafter%5D=y"),
        ("page[limit]=2&page[after]=x", None, "/list?page%5Blimit%5D=2"),
        ("filter[status]=active", 7, "/list?filter%5Bstatus%5D=active&page%5Bafter%5D=7"),
    ],
)
def test_pages_are_linked_with_all_else_kept(query: str, after: object, link: str):
    assert page_link("/list", query, after) == link


@pytest.mark.parametrize(
    ("path", "query", "link"),
    [
        ("/list", "", "/list"),
        ("/list", "page[limit]=2&include=a,b", "/list?page%5Blimit%5D=2&include=a,b"),
        ("/list/a.b.x y", "", "/list/a.b.x%20y"),
        ("/list", "filter[status]=", "/list?filter%5Bstatus%5D="),
    ],
)
def test_a_link_is_one_that_can_be_followed(path: str, query: str, link: str):
    assert own_link(path, query) == link
