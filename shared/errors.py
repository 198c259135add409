"""The errors that services tell apart, each of which a caller can be told in words.

ServiceError          anything a caller may be told
├── NotFoundError     404
├── ConflictError     409: not in this state
├── ChangedMeanwhileError  412: not the revision that the caller had read
├── InvalidError      422: the body, with the places at fault
├── TooLargeError     413
└── UnavailableError  503: try again after a while
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from shared.contracts.problems import FieldProblem, Problem, pointer_to

#: Some libraries quote whole statements and messages.
WORDS_SHOWN = 300


def words_of(error: BaseException) -> str:
    """What somebody else's error says, for logs and people; its kind when it says nothing, as a timeout does."""
    said = findings_of(error) if isinstance(error, ValidationError) else str(error).strip()
    return said[:WORDS_SHOWN] or type(error).__name__


def findings_of(error: ValidationError) -> str:
    """Each with its place; pydantic's own words would quote what stood there, which is the users' and may be secret."""
    return "; ".join(
        f"{pointer_to(item['loc']) or '/'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    )


class ServiceError(Exception):
    """A request was refused; `problem` says why, in the words that the caller gets."""

    status = 500
    title = "Internal error"

    def __init__(
        self,
        kind: str,
        detail: str,
        errors: Sequence[FieldProblem] = (),
        retry_after_s: float | None = None,
        *,
        state: str | None = None,
        allowed: Sequence[str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(
            type=kind,
            title=self.title,
            status=self.status,
            detail=detail,
            errors=tuple(errors),
            retry_after_s=retry_after_s,
            state=state,
            allowed=tuple(allowed) if allowed is not None else None,
        )


class NotFoundError(ServiceError):
    status = 404
    title = "Not found"


class ConflictError(ServiceError):
    status = 409
    title = "Not possible in this state"


class ChangedMeanwhileError(ServiceError):
    status = 412
    title = "Changed meanwhile"


class InvalidError(ServiceError):
    status = 422
    title = "Invalid request"


class TooLargeError(ServiceError):
    status = 413
    title = "Too large"


class UnavailableError(ServiceError):
    status = 503
    title = "Not available now"


def reported(problem: Problem) -> ServiceError:
    """The error of a problem that another service reported."""
    if problem.status == UnavailableError.status:
        return UnavailableError(problem.type, problem.detail, problem.errors, problem.retry_after_s)
    return ProblemError(problem)


class ProblemError(ServiceError):
    """A problem that another service reported, passed on as it is."""

    def __init__(self, problem: Problem) -> None:
        Exception.__init__(self, problem.detail)
        self.problem = problem


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Which one was perhaps meant, as a sentence behind another one; empty when none is like it."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def unknown_field(key: str, known: list[str]) -> str:
    """Says that a field is not known, and which one was perhaps meant."""
    hint = did_you_mean(key, known) or (f" Known are: {', '.join(known)}." if known else "")
    return f"'{key}' is not a known field.{hint}"
