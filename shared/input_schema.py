"""The JSON Schema (2020-12) that a run's input must fit: compiled once, matched in linear time, never fetched.

Users write these schemas, and coordinators match them in their loop; a pattern that takes exponential time in a
backtracking engine takes none of it here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from shared.contracts.problems import FieldProblem, pointer_to

#: Findings told at once.
MOST_FINDINGS = 20


class InputSchemaError(ValueError):
    """A schema that cannot be used; `pointer` leads to the fault in it."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer = pointer


def check_schema(schema: dict[str, Any]) -> None:
    """Raises InputSchemaError."""
    _compiled(schema)


def input_findings(run_input: dict[str, Any], schema: dict[str, Any]) -> list[FieldProblem]:
    """Where the input does not fit; raises InputSchemaError."""
    found = []
    for error in _compiled(schema).iter_errors(run_input):
        found.append(FieldProblem(pointer=f"/input{pointer_to(error.instance_path)}", detail=error.message))
        if len(found) == MOST_FINDINGS:
            break
    return found


def _compiled(schema: dict[str, Any]) -> Draft202012Validator:
    try:
        return _compile(orjson.dumps(schema))
    except orjson.JSONEncodeError as error:
        raise InputSchemaError("", f"it cannot be read: {error}") from error


@lru_cache(maxsize=256)
def _compile(schema: bytes) -> Draft202012Validator:
    try:
        return Draft202012Validator(orjson.loads(schema), pattern_options=RegexOptions(), offline=True)
    except (ValidationError, ValueError) as error:
        if isinstance(error, ValidationError):
            raise InputSchemaError(pointer_to(error.instance_path), error.message) from error
        raise InputSchemaError("", str(error)) from error
