"""Errors: what a caller is told, and what is passed on from another service."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.contracts.problems import FieldProblem, Problem
from shared.contracts.runs import RunRequested
from shared.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    ServiceError,
    TooLargeError,
    UnavailableError,
    reported,
    words_of,
)

FINDINGS = [FieldProblem(pointer="/nodes/0", detail="is wrong")]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (ServiceError, 500),
        (NotFoundError, 404),
        (ConflictError, 409),
        (InvalidError, 422),
        (TooLargeError, 413),
        (UnavailableError, 503),
    ],
)
def test_an_error_is_its_problem_in_words(kind: type[ServiceError], status: int):
    error = kind("some_kind", "Something is wrong.", FINDINGS, retry_after_s=2.0)
    assert str(error) == "Something is wrong."
    assert error.problem == Problem(
        type="some_kind",
        title=kind.title,
        status=status,
        detail="Something is wrong.",
        errors=tuple(FINDINGS),
        retry_after_s=2.0,
    )


@pytest.mark.parametrize("kind", [NotFoundError, ConflictError, InvalidError, TooLargeError, ServiceError])
def test_a_problem_of_another_service_is_passed_on_as_it_is(kind: type[ServiceError]):
    problem = kind("some_kind", "Something is wrong.", FINDINGS).problem
    error = reported(Problem.model_validate_json(problem.model_dump_json()))
    assert error.problem == problem
    assert str(error) == "Something is wrong."


def test_that_another_service_is_not_available_is_told_apart():
    problem = UnavailableError("no_database", "Not now.", retry_after_s=3.0).problem
    error = reported(problem)
    assert isinstance(error, UnavailableError)
    assert error.problem == problem


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("  no such table\n"), "no such table"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("x" * 1000), "x" * 300),
    ],
)
def test_an_error_is_told_in_words_of_bounded_length(error: Exception, words: str):
    assert words_of(error) == words


def test_findings_are_told_with_their_places_and_without_what_stood_there():
    with pytest.raises(ValidationError) as refused:
        RunRequested.model_validate({"input": "my s3cret"})

    assert words_of(refused.value) == "/pipeline: Field required; /input: Input should be a valid dictionary"
