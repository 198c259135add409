"""What the OpenAPI document says of bodies and answers that are passed on without being checked again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.contracts.problems import Problem

#: What any route with a key may answer.
REFUSALS = (401, 403, 404, 409, 412, 413, 422, 429, 503)
#: Schemas of what is sent have a name of their own, since a field with a default may be left out there.
SENT = "#/components/schemas/{model}-Input"

Answers = dict[int | str, dict[str, Any]]

_bodies: list[type[BaseModel]] = [Problem]


def answers(model: type[BaseModel] | None, status: int = 200) -> Answers:
    problem = {"application/problem+json": {"schema": _sent(Problem)}}
    found: Answers = {refusal: {"description": HTTPStatus(refusal).phrase, "content": problem} for refusal in REFUSALS}
    found[status] = {"model": model} if model is not None else {"description": "Done"}
    return found


def with_yaml(found: Answers) -> Answers:
    """The answer is to be had as YAML too."""
    found[200]["content"] = {"application/yaml": {"schema": {"type": "string"}}}
    return found


def body_of(model: type[BaseModel], is_required: bool = True) -> dict[str, Any]:
    _bodies.append(model)
    return {"requestBody": {"required": is_required, "content": {"application/json": {"schema": _sent(model)}}}}


def _sent(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": SENT.format(model=model.__name__)}


class Gateway(FastAPI):
    """An application whose document also tells what its routes read and refuse by themselves."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        components = document.setdefault("components", {})
        _, definitions = models_json_schema([(model, "validation") for model in _bodies], ref_template=SENT)
        components["schemas"] |= {f"{name}-Input": schema for name, schema in definitions["$defs"].items()}
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for operations in document["paths"].values():
            for operation in operations.values():
                if "401" in operation["responses"]:
                    operation["security"] = [{"key": []}]
        return document
