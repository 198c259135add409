"""Run requests: what names a request for ever, and which inputs a run takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.coordinator.requests import INPUT_LIMIT, check_input, digest_of
from shared.errors import InvalidError, TooLargeError
from tests.unit.coordinator.building import graph_of

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["name"],
}


def check(run_input: dict[str, Any], schema: dict[str, Any] | None = None) -> None:
    check_input(run_input, replace(graph_of("a"), input_schema=schema))


def test_the_order_of_keys_does_not_change_a_digest():
    assert digest_of("p", {"a": 1, "b": {"c": 2, "d": 3}}) == digest_of("p", {"b": {"d": 3, "c": 2}, "a": 1})


@pytest.mark.parametrize(("pipeline", "run_input"), [("p", {"a": 2}), ("p", {}), ("q", {"a": 1})])
def test_another_body_has_another_digest(pipeline: str, run_input: dict[str, Any]):
    assert digest_of(pipeline, run_input) != digest_of("p", {"a": 1})


def test_an_input_that_fits_its_schema_is_taken():
    check({"name": "Ada", "tags": ["x"]}, SCHEMA)


def test_every_misfit_is_told_with_its_place():
    with pytest.raises(InvalidError) as caught:
        check({"tags": ["x", 1]}, SCHEMA)
    assert {finding.pointer for finding in caught.value.problem.errors} == {"/input", "/input/tags/1"}


def test_a_misfit_says_which_pipeline_refuses_it():
    with pytest.raises(InvalidError, match="does not fit pipeline 'tested'"):
        check({}, SCHEMA)


def test_an_input_with_the_zero_character_is_refused():
    with pytest.raises(InvalidError, match=r"U\+0000"):
        check({"name": "a\x00b"})


def test_an_input_that_merely_names_the_zero_character_is_taken():
    check({"name": r"\u0000"})


def test_an_input_over_the_limit_is_refused():
    with pytest.raises(TooLargeError):
        check({"name": "x" * INPUT_LIMIT})


def test_a_pattern_that_takes_ever_elsewhere_is_matched_at_once():
    with pytest.raises(InvalidError, match="/input/name"):
        check({"name": "a" * 100_000 + "!"}, {"properties": {"name": {"pattern": "^(a+)+$"}}})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no-such-type"},
        {"$ref": "#/$defs/absent"},
        {"$ref": "https://example.com/schema.json"},
        {"properties": {"name": {"pattern": "("}}},
    ],
    ids=["unknown type", "reference to nothing", "reference to elsewhere", "wrong pattern"],
)
def test_a_schema_that_cannot_be_used_refuses_the_run_in_words(schema: dict[str, Any]):
    with pytest.raises(InvalidError, match="input_schema of pipeline 'tested' cannot be used"):
        check({"name": "Ada"}, schema)
