"""Checks the `input_schema` of a pipeline: it must be JSON Schema, say all that it refers to, and be bounded; pure.

Coordinators match inputs in their loop. Without references that lead back to themselves, and with few alternatives
in all, that takes time in proportion to the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from shared.contracts.problems import FieldProblem
from shared.input_schema import InputSchemaError, check_schema

REFERENCES = ("$ref", "$dynamicRef")
#: Objects of a schema when every reference is replaced by what it leads to.
MOST_OBJECTS = 5000
PLACE = "/input_schema"


class _Refused(Exception):
    """A reference that leads back to itself, or too much of a schema."""


def schema_findings(schema: dict[str, Any]) -> list[FieldProblem]:
    """Every reference that leads nowhere or elsewhere; else the first other fault."""
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    findings = []
    for pointer, reference in _references(schema, PLACE):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            detail = f"'{reference}' leads to nothing in this schema. Put what it means under $defs."
            findings.append(FieldProblem(pointer=pointer, detail=detail))
    if findings:
        return findings
    try:
        check_schema(schema)
        _count(schema, resolver, frozenset())
    except InputSchemaError as error:
        return [FieldProblem(pointer=f"{PLACE}{error.pointer}", detail=f"is no JSON Schema: {error}")]
    except (_Refused, RecursionError) as error:
        return [FieldProblem(pointer=PLACE, detail=str(error) or "it is nested too deeply. Make it flatter.")]
    return []


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


def _count(value: Any, resolver: Any, inside: frozenset[int], counted: int = 0) -> int:
    """Objects with all references followed, on top of `counted`."""
    if isinstance(value, list):
        for item in value:
            counted = _count(item, resolver, inside, counted)
    elif isinstance(value, dict):
        counted += 1
        if counted > MOST_OBJECTS:
            raise _Refused(f"it has more than {MOST_OBJECTS} parts when its references are followed. Make it smaller.")
        for key, item in value.items():
            if key in REFERENCES and isinstance(item, str):
                target = resolver.lookup(item).contents
                if id(target) in inside:
                    raise _Refused(f"'{item}' leads back to itself. Say how deep it may go, or leave that part open.")
                counted = _count(target, resolver, inside | {id(target)}, counted)
            elif key != "$defs":
                counted = _count(item, resolver, inside | {id(value)}, counted)
    return counted
