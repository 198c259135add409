"""Checks of path and query that hold for every route: no name that nobody knows, and nothing that cannot be stored."""

from __future__ import annotations

from fastapi import Request
from fastapi.dependencies.models import Dependant

from shared.contracts.problems import FieldProblem
from shared.errors import InvalidError, did_you_mean

ZERO = "holds the character U+0000, which no name has. Take it out."


def check_parameters(request: Request) -> None:
    """Raises InvalidError: a misspelt filter would otherwise answer as if there were none."""
    if "\x00" in request.scope["path"]:
        raise InvalidError("invalid_request", f"The path {ZERO}")
    if not request.query_params:
        return
    known = _names(request.scope["route"].dependant)
    findings = []
    for name, value in request.query_params.multi_items():
        if name not in known:
            findings.append(FieldProblem(pointer=f"/query/{name}", detail=_unknown(name, known)))
        elif "\x00" in value:
            findings.append(FieldProblem(pointer=f"/query/{name}", detail=ZERO))
    if findings:
        first = findings[0]
        raise InvalidError("invalid_request", f"{first.pointer}: {first.detail}", findings)


def _names(dependant: Dependant) -> list[str]:
    """With those of what it depends on."""
    own = [parameter.alias for parameter in dependant.query_params]
    return own + [name for inner in dependant.dependencies for name in _names(inner)]


def _unknown(name: str, known: list[str]) -> str:
    hint = did_you_mean(name, known) or f" Known are: {', '.join(known) or 'none'}."
    return f"'{name}' is not a known parameter.{hint}"
