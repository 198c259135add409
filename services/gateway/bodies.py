"""Reads request bodies: bounded while they come, and JSON in the strict sense."""

from __future__ import annotations

from itertools import islice
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError

from shared.bus.rpc import invalid_body
from shared.contracts.problems import FieldProblem
from shared.errors import InvalidError, TooLargeError
from shared.storable import TOO_DEEP, holds_zero_character, is_too_deep, zero_places

Model = TypeVar("Model", bound=BaseModel)

MEBIBYTE = 1024 * 1024
#: A pipeline document; 10,000 nodes take about 1.2 MB.
DOCUMENT_LIMIT = 16 * MEBIBYTE
BODY_LIMIT = MEBIBYTE
#: Findings told at once.
MOST_FINDINGS = 100


async def read_json(request: Request, limit: int = BODY_LIMIT) -> Any:
    """The body as JSON values; raises TooLargeError or InvalidError. An empty body is an empty object."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLargeError("body_too_large", f"The body has more than {limit} bytes. Send less.")
        parts.append(part)
    body = b"".join(parts)
    if not body:
        return {}
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidError("invalid_json", f"The body is not JSON: {error}. Check its commas and quotes.") from error
    check_storable(found, body)
    return found


def check_storable(found: Any, body: bytes) -> None:
    """Raises InvalidError for JSON that could not be passed on or kept, whatever it is meant to be."""
    if is_too_deep(found):
        raise InvalidError("unstorable_body", f"The body has {TOO_DEEP}. Send a flatter one.")
    if holds_zero_character(body):
        detail = "holds the character U+0000, which cannot be stored. Take it out."
        places = islice(zero_places(found), MOST_FINDINGS)
        raise InvalidError(
            "unstorable_body",
            f"The body {detail}",
            [FieldProblem(pointer=place, detail=detail) for place in places],
        )


async def read_object(request: Request, limit: int = BODY_LIMIT) -> dict[str, Any]:
    found = await read_json(request, limit)
    if not isinstance(found, dict):
        raise InvalidError("invalid_json", 'The body must be a JSON object, like {"input": {}}.')
    return found


async def read_model(request: Request, model: type[Model]) -> Model:
    """The body as what it must be; raises InvalidError with every place at fault. An empty body is an empty object."""
    try:
        return model.model_validate(await read_object(request))
    except ValidationError as error:
        raise invalid_body(error, list(model.model_fields)) from error
