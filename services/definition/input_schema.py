"""Checks the `input_schema` of a pipeline: it must be JSON Schema, and say all that it refers to; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from shared.contracts.problems import FieldProblem

REFERENCES = ("$ref", "$dynamicRef")


def schema_findings(schema: dict[str, Any]) -> list[FieldProblem]:
    """The first fault, and every reference that leads nowhere or elsewhere."""
    try:
        Draft202012Validator.check_schema(schema, Draft202012Validator.FORMAT_CHECKER)
    except SchemaError as error:
        place = "".join(f"/{part}" for part in error.absolute_path)
        return [FieldProblem(pointer=f"/input_schema{place}", detail=f"is no JSON Schema: {error.message}")]
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    findings = []
    for pointer, reference in _references(schema, "/input_schema"):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            detail = f"'{reference}' leads to nothing in this schema. Put what it means under $defs."
            findings.append(FieldProblem(pointer=pointer, detail=detail))
    return findings


def _references(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Every reference with its place."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in REFERENCES and isinstance(item, str):
                yield f"{pointer}/{key}", item
            else:
                yield from _references(item, f"{pointer}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _references(item, f"{pointer}/{index}")
