"""Problem details as errors: one a finding, with the place in what the client sent."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.jsonapi.errors import Origin, error_document, moved

PROBLEM = {"type": "invalid_pipeline", "title": "Invalid request", "status": 422, "detail": "All of it."}
PLACES = {
    "": "/data/attributes",
    "/nodes": "/data/relationships/nodes/data",
    "/nodes/0": "/included/1/attributes",
    "/nodes/0/type": "/included/1/attributes/node_type",
}
BODY = {"data": {"attributes": {"a/b": 1}}, "included": [{}, {"attributes": {"config": {"list": [1, 2]}}}]}


def errors(findings: list[dict[str, Any]], origin: Origin, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = error_document(PROBLEM | {"errors": findings} | more, origin)["errors"]
    return found


def test_a_problem_without_findings_is_one_error():
    assert error_document(PROBLEM, Origin()) == {
        "jsonapi": {"version": "1.1"},
        "errors": [{"status": "422", "code": "invalid_pipeline", "title": "Invalid request", "detail": "All of it."}],
    }


def test_each_finding_is_an_error_of_the_same_status():
    found = errors([{"pointer": "", "detail": "One."}, {"pointer": "", "detail": "Two."}], Origin(BODY))
    assert [(error["status"], error["detail"]) for error in found] == [("422", "One."), ("422", "Two.")]


@pytest.mark.parametrize(
    ("flat", "place"),
    [
        ("", "/data"),
        ("/name", "/data/attributes/name"),
        ("/nodes", "/data/relationships/nodes/data"),
        ("/nodes/0/config/x", "/included/1/attributes/config/x"),
        ("/nodes/0/type", "/included/1/attributes/node_type"),
        ("/nodes/7", "/data/relationships/nodes/data/7"),
        ("/nodes_and_more", "/data/attributes/nodes_and_more"),
    ],
)
def test_a_place_in_the_flat_body_is_one_in_the_document(flat: str, place: str):
    assert moved(flat, PLACES) == place


@pytest.mark.parametrize("flat", ["", "/name", "/nodes/0/type"])
def test_a_flat_body_keeps_its_places(flat: str):
    assert moved(flat, Origin().places) == flat


@pytest.mark.parametrize(
    ("flat", "pointer", "detail"),
    [
        ("/nodes/0/config/list/1", "/included/1/attributes/config/list/1", "Wrong."),
        ("/nodes/0/config/list/2", "/included/1/attributes/config/list", "/2: Wrong."),
        ("/nodes/0/config/prompt", "/included/1/attributes/config", "/prompt: Wrong."),
        ("/a~1b", "/data/attributes/a~1b", "Wrong."),
        ("", "/data", "Wrong."),
    ],
)
def test_a_pointer_leads_to_what_exists_and_the_rest_is_said(flat: str, pointer: str, detail: str):
    [error] = errors([{"pointer": flat, "detail": "Wrong."}], Origin(BODY, PLACES))
    assert (error["source"], error["detail"]) == ({"pointer": pointer}, detail)


def test_without_a_body_no_pointer_leads_anywhere():
    [error] = errors([{"pointer": "/nodes/0", "detail": "Wrong."}], Origin())
    assert "source" not in error
    assert error["detail"] == "/nodes/0: Wrong."


@pytest.mark.parametrize(
    ("pointer", "source"),
    [
        ("/query/limit", {"parameter": "page[limit]"}),
        ("/query/sort", {"parameter": "sort"}),
        ("/query/page[number]", {"parameter": "page[number]"}),
        ("/header/idempotency-key", {"header": "idempotency-key"}),
        ("/path/run_id", None),
    ],
)
def test_a_parameter_has_the_name_that_was_sent(pointer: str, source: dict[str, str] | None):
    origin = Origin(names={"limit": "page[limit]"})
    [error] = errors([{"pointer": pointer, "detail": "Wrong."}], origin, type="invalid_request")
    assert error.get("source") == source


def test_when_to_try_again_is_told_in_meta():
    assert errors([], Origin(), retry_after_s=2.0)[0]["meta"] == {"retry_after_s": 2.0}
