"""What a JSON Schema says of a place in a config, as far as templates need to know it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Any

#: The `format` of a string that is one expression.
EXPRESSION_FORMAT = "expression"


class Kind(Enum):
    """What a string in a config is."""

    #: A template that gives text, whatever the value.
    TEXT = auto()
    #: A template; one `{{ ... }}` alone gives the value itself.
    VALUE = auto()
    #: A whole expression, without braces.
    EXPRESSION = auto()


def kind_of(root: dict[str, Any], schema: dict[str, Any]) -> Kind:
    branches = list(alternatives(root, schema))
    if any(branch.get("format") == EXPRESSION_FORMAT for branch in branches):
        return Kind.EXPRESSION
    types: set[str] = set()
    for branch in branches:
        found = branch.get("type")
        if found is None and ("enum" in branch or "const" in branch):
            found = "string"
        types |= set(found if isinstance(found, list) else [found or "any"])
    return Kind.TEXT if types and types <= {"string", "null"} else Kind.VALUE


def child_schema(root: dict[str, Any], schema: dict[str, Any], key: str | None) -> dict[str, Any]:
    """The schema of an object's key, or of a list's items when `key` is None; empty when nothing is said."""
    for branch in alternatives(root, schema):
        if key is None:
            found = branch.get("items")
        else:
            found = branch.get("properties", {}).get(key, branch.get("additionalProperties"))
        if isinstance(found, dict):
            return found
    return {}


def alternatives(root: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema with its references followed, and each of its `anyOf` and `oneOf`."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target: Any = root
        for part in reference[2:].split("/"):
            target = target.get(part, {}) if isinstance(target, dict) else {}
        yield from alternatives(root, target)
        return
    branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if not branches or "properties" in schema:
        yield schema
    for branch in branches:
        if isinstance(branch, dict):
            yield from alternatives(root, branch)
