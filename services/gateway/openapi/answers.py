"""What a route says of itself to the OpenAPI document: its body, its answers, and what it alone may refuse.

What follows from the shape of a route (its key, its parameters, its body) is added by document.py.
"""

from __future__ import annotations

from collections.abc import Collection
from inspect import getdoc
from typing import Any

from pydantic import BaseModel

from services.gateway.openapi.examples import EXAMPLES as SHOWN
from services.gateway.openapi.examples import as_sent, as_written
from services.gateway.openapi.problem_types import EXAMPLES
from shared.contracts.message import JsonObject

Answers = dict[int | str, dict[str, Any]]

JSON = "application/json"
YAML = "application/yaml"
#: Schemas of what is sent have a name of their own, since a field with a default may be left out there.
SENT = "#/components/schemas/{model}-Input"
#: Those of changes to what was sent; all that a body may have is optional.
CHANGES = "#/components/schemas/{model}-Changes"
#: Where a route leaves the types of its problems for document.py.
PROBLEMS = "x-problems"

#: All bodies that routes take.
BODIES: list[type[BaseModel]] = []


def answers(
    model: type[BaseModel] | None,
    status: int = 200,
    *,
    example: BaseModel | None = None,
    refuses: Collection[str] = (),
) -> Answers:
    """An answer with its example, and the types of problems that only this route knows."""
    found: Answers = {}
    for kind in refuses:
        found.setdefault(EXAMPLES[kind].status, {}).setdefault(PROBLEMS, []).append(kind)
    if model is None:
        found[status] = {"description": "Done"}
    else:
        shown = as_sent(example or SHOWN[model])
        found[status] = {"model": model, "description": first_line(model), "content": {JSON: {"example": shown}}}
    return found


def body_of(model: type[BaseModel], is_required: bool = True, *, example: BaseModel | None = None) -> dict[str, Any]:
    """The body of a route that reads it by itself."""
    BODIES.append(model)
    content = {
        JSON: {"schema": {"$ref": SENT.format(model=model.__name__)}, "example": as_written(example or SHOWN[model])}
    }
    return {"requestBody": {"description": first_line(model), "required": is_required, "content": content}}


def changes_of(model: type[BaseModel], example: JsonObject) -> dict[str, Any]:
    """The body of a route that merges it: anything of the model may be left out."""
    content = {JSON: {"schema": {"$ref": CHANGES.format(model=model.__name__)}, "example": example}}
    return {"requestBody": {"description": "What changes", "required": True, "content": content}}


def with_yaml(found: Answers, example: str) -> Answers:
    """The answer is to be had as YAML too."""
    found[200]["content"][YAML] = {"example": example}
    return found


def first_line(model: type[BaseModel]) -> str:
    return (getdoc(model) or model.__name__).partition("\n")[0]
