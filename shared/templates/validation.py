"""Checks a config as its user wrote it: against the type's schema, and its templates."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from shared.contracts.problems import FieldProblem, escape, pointer_to
from shared.errors import unknown_field
from shared.templates.config import ConfigProblems, compile_cached, template_strings


def config_findings(config: dict[str, Any], config_schema: dict[str, Any]) -> list[FieldProblem]:
    """Every finding, with its pointer into the config.

    A template may stand where another type is wanted: what it gives is checked when it is rendered. The schema
    must be one object as long as it stays the same (see compile_cached).
    """
    templated = set(template_strings(config))
    validator = _validator(orjson.dumps(config_schema))
    findings = [finding for error in validator.iter_errors(config) for finding in _findings(error, templated)]
    try:
        compile_cached(config, config_schema)
    except ConfigProblems as problems:
        findings += problems.findings
    return findings


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Draft202012Validator:
    return Draft202012Validator(orjson.loads(schema))


def _findings(error: ValidationError, templated: set[str]) -> list[FieldProblem]:
    pointer = pointer_to(error.absolute_path)
    if pointer in templated:
        return []
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        schema = error.schema if isinstance(error.schema, dict) else {}
        known = list(schema.get("properties", {}))
        return [
            FieldProblem(pointer=f"{pointer}/{escape(key)}", detail=unknown_field(key, known))
            for key in error.instance
            if key not in known
        ]
    if error.validator == "oneOf" and (names := _required_names(error.validator_value)):
        return [FieldProblem(pointer=pointer, detail=f"give exactly one of: {', '.join(names)}")]
    if error.validator in ("anyOf", "oneOf") and error.context:
        # A template inside one of the alternatives is judged when it is rendered.
        if any(place.startswith(f"{pointer}/") for place in templated):
            return []
        deepest = max(error.context, key=lambda found: len(found.absolute_path))
        if len(deepest.absolute_path) > len(error.absolute_path):
            return _findings(deepest, templated)
    if error.validator == "required":
        missing = str(error.message).split("'")[1]
        return [FieldProblem(pointer=pointer, detail=f"'{missing}' is missing; add it")]
    return [FieldProblem(pointer=pointer, detail=_short(error.message))]


def _required_names(alternatives: Any) -> list[str]:
    """The fields of which one is wanted, when that is all that the alternatives say."""
    if any(set(alternative) != {"required"} for alternative in alternatives):
        return []
    return [name for alternative in alternatives for name in alternative["required"]]


def _short(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:150]} ... {message[-140:]}"
