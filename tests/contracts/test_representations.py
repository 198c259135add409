"""The two representations of one resource, word for word: clients of either rely on all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from services.gateway.jsonapi.documents import document_of
from services.gateway.jsonapi.errors import Origin, error_document
from services.gateway.jsonapi.places import place_of
from services.gateway.jsonapi.queries import read_query
from services.gateway.jsonapi.requests import flat_body
from services.gateway.openapi.examples import DOCUMENT, as_sent
from shared.contracts.pipelines import PipelineDocument
from shared.contracts.problems import FieldProblem, Problem
from shared.contracts.rest import PREFIX
from tests.contracts.representations import ANSWERS

GOLDEN = Path(__file__).parent / "golden_documents"
SCHEMA = orjson.loads((Path(__file__).parents[1] / "e2e" / "jsonapi_schema.json").read_bytes())
EVERY_DOCUMENT = sorted(path.name for path in GOLDEN.glob("*.jsonapi.json"))
#: Documents that clients send; their resources have no id yet.
SENT = {"pipelines.create.jsonapi.json"}
PROBLEM = Problem(
    type="invalid_pipeline",
    title="Invalid request",
    status=422,
    detail="/nodes/0/type: There is no node type 'http'.",
    errors=(
        FieldProblem(pointer="/nodes/0/type", detail="There is no node type 'http'."),
        FieldProblem(pointer="/edges/0/target", detail="There is no node 'sorry'."),
        FieldProblem(pointer="/nodes/1/config/content", detail="Field required"),
    ),
)


def golden(name: str) -> Any:
    return orjson.loads((GOLDEN / name).read_bytes())


def document_to(request_line: str, flat: Any) -> Any:
    method, _, rest = request_line.partition(" ")
    path, _, query = rest.partition("?")
    place = place_of(method, PREFIX + path)
    return document_of(flat, place, read_query(query, place), PREFIX + path, query)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_flat_answer_is_the_golden_one(name: str):
    assert as_sent(ANSWERS[name][1]) == golden(f"{name}.flat.json")


@pytest.mark.parametrize("name", ANSWERS)
def test_the_document_is_the_golden_one(name: str):
    assert document_to(ANSWERS[name][0], golden(f"{name}.flat.json")) == golden(f"{name}.jsonapi.json")


def test_a_pipeline_that_is_sent_is_the_same_in_both():
    sent = flat_body(golden("pipelines.create.jsonapi.json"), place_of("POST", f"{PREFIX}/pipelines"))
    assert sent.flat == golden("pipelines.create.flat.json")
    assert PipelineDocument.model_validate(sent.flat) == DOCUMENT


def test_a_refusal_leads_into_the_document_that_was_sent():
    document = golden("pipelines.create.jsonapi.json")
    places = flat_body(document, place_of("POST", f"{PREFIX}/pipelines")).places
    problem = PROBLEM.model_dump(mode="json", exclude_none=True)
    assert problem == golden("errors.flat.json")
    assert error_document(problem, Origin(document, places)) == golden("errors.jsonapi.json")


@pytest.mark.parametrize("name", [name for name in EVERY_DOCUMENT if name not in SENT])
def test_a_golden_document_is_one_of_jsonapi(name: str):
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(golden(name))] == []


def test_no_golden_document_is_left_over():
    known = {"pipelines.create", "errors", *ANSWERS}
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"{name}.{kind}.json" for name in known for kind in ("flat", "jsonapi")
    }
