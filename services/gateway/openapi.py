"""What the OpenAPI document says of bodies and answers that are passed on without being checked again."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from shared.contracts.problems import Problem

#: What any route may answer.
REFUSALS = (401, 404, 409, 413, 422, 503)


def answers(model: type[BaseModel] | None, status: int = 200) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {
        refusal: {"model": Problem, "content": {"application/problem+json": {}}} for refusal in REFUSALS
    }
    found[status] = {"model": model} if model is not None else {"description": "Done"}
    return found


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": model.model_json_schema()}},
        }
    }
