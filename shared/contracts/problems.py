"""Errors as they travel: problem details (RFC 9457), said in words that tell what, where and what to do."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field


def escape(part: str) -> str:
    """A key as a part of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


def pointer_to(parts: Iterable[object]) -> str:
    """The JSON pointer that leads by these keys and positions."""
    return "".join(f"/{escape(str(part))}" for part in parts)


class FieldProblem(BaseModel):
    """One finding in a body that was sent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    #: JSON pointer into the body, for example `/nodes/2/config/prompt`; empty for the body as a whole.
    pointer: str = ""
    detail: str


class Problem(BaseModel):
    """Why a request was refused."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    #: A stable name for programs, for example `pipeline_not_found`.
    type: str
    title: str
    #: The HTTP status that says the same.
    status: int = Field(ge=400, le=599)
    detail: str
    errors: tuple[FieldProblem, ...] = ()
    #: Seconds to wait before the same request may succeed.
    retry_after_s: float | None = None
    #: Of what is not possible in a state: the state, and the actions that are possible in it.
    state: str | None = None
    allowed: tuple[str, ...] | None = None


class NodeProblem(BaseModel):
    """Why a node, or the run because of it, failed; what `nodes.<key>.error` shows to templates."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    #: A stable name for programs, for example `template_error`, `http_status`, `timed_out`.
    code: str
    message: str
    #: Set in a run's error: the node that failed.
    node_key: str | None = None
