"""Completes FastAPI's OpenAPI document: refusals, both representations, headers, examples and links of every route."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from services.gateway.jsonapi.negotiation import MEDIA_TYPE
from services.gateway.jsonapi.places import place_of
from services.gateway.jsonapi.queries import possible
from services.gateway.openapi import documents, streams
from services.gateway.openapi.answers import BODIES, JSON, PROBLEMS, SENT, YAML
from services.gateway.openapi.links import add_links
from services.gateway.openapi.parameters import describe
from services.gateway.openapi.problem_types import EXAMPLES
from services.gateway.openapi.refusals import usual_problems
from services.gateway.problems import MEDIA_TYPE as PROBLEM
from shared.contracts.problems import Problem

#: What may be asked for without a key.
OPEN = frozenset({"health", "ready", "version"})
#: Bodies that can be changed in part.
CHANGED = ("PipelineDocument", "NodeDocument")
#: Answers that have a revision.
WITH_ETAG = frozenset({"Pipeline", "NodeView", "EdgeView", "Applied"})
#: Deleting these is a change of their pipeline, whose new revision the empty answer has.
PARTS = ("/nodes/{key}", "/edges/{edge_id}")
EXAMPLE = "#/components/examples/{name}"

_TEXT = {"type": "string"}
ETAG = {"required": True, "description": "The revision of the pipeline, for If-Match", "schema": _TEXT}
LOCATION = {"required": True, "description": "Where it is", "schema": _TEXT}
RETRY_AFTER = {"description": "Seconds to wait before asking again", "schema": {"type": "integer"}}
WWW_AUTHENTICATE = {"required": True, "description": "How to send a key", "schema": _TEXT}


def operation_id(route: APIRoute) -> str:
    """The name of the function, such as `execute_pipeline`."""
    return route.name


class Gateway(FastAPI):
    """An application whose document also tells what its routes read and refuse by themselves."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    components["schemas"] |= _own_schemas()
    for guess in ("HTTPValidationError", "ValidationError"):  # what FastAPI would refuse with
        components["schemas"].pop(guess, None)
    components["examples"] = _problem_examples()
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key; `pipewright keys` makes the first"}
    }
    kinds: dict[str, dict[str, str]] = {}
    operations = []
    for method, path, operation in _operations(document):
        operations.append(operation)
        kinds[operation["operationId"]] = {
            status: _kind(answer) for status, answer in operation["responses"].items() if "content" in answer
        }
        _complete(operation, method, path, components["schemas"])
    add_links(operations, kinds)
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield method, path, operation


def _own_schemas() -> dict[str, Any]:
    """Of bodies, problems and events; FastAPI knows of answers alone."""
    found: dict[str, Any] = {"JsonApiErrors": documents.ERRORS}
    for models, mode, suffix in (
        ([*BODIES, Problem], "validation", "Input"),
        (streams.MODELS, "serialization", "Event"),
    ):
        template = SENT.replace("Input", suffix)
        _, defined = models_json_schema([(model, mode) for model in models], ref_template=template)  # type: ignore[misc]
        found |= {f"{name}-{suffix}": schema for name, schema in defined["$defs"].items()}
    for name in CHANGED:
        found[f"{name}-Changes"] = {
            **{key: value for key, value in found[f"{name}-Input"].items() if key not in ("required", "title")},
            "description": "What changes, as a JSON Merge Patch (RFC 7396); null takes a field away.",
        }
    found["Problem-Input"]["properties"]["type"]["examples"] = sorted(EXAMPLES)
    return found


def _problem_examples() -> dict[str, Any]:
    flat = {
        kind: {"summary": problem.title, "value": problem.model_dump(mode="json", exclude_none=True)}
        for kind, problem in EXAMPLES.items()
    }
    ours = {
        _document_name(kind): {"summary": problem.title, "value": documents.refused(problem)}
        for kind, problem in EXAMPLES.items()
    }
    return flat | ours


def _document_name(kind: str) -> str:
    return f"{kind}-document"


def _kind(answer: dict[str, Any]) -> str:
    """The name of the schema of a flat answer; empty when it has none."""
    reference: str = answer["content"].get(JSON, {}).get("schema", {}).get("$ref", "")
    return reference.rpartition("/")[2]


def _complete(operation: dict[str, Any], method: str, path: str, schemas: dict[str, Any]) -> None:
    place = place_of(method.upper(), path)
    if operation["operationId"] not in OPEN:
        operation["security"] = [{"key": []}]
    for parameter in operation.get("parameters", []):
        describe(parameter)
    if method != "delete" and (queries := possible(place)):
        operation["description"] += f"\n\nAs JSON:API its query may have: {', '.join(f'`{one}`' for one in queries)}."
    told = {kind for answer in operation["responses"].values() for kind in answer.pop(PROBLEMS, [])}
    told |= usual_problems(operation, method, path, place)
    for status, answer in operation["responses"].items():
        flat = answer.get("content", {}).get(JSON)
        if flat is not None and "example" not in flat:
            del answer["content"][JSON]  # FastAPI's guess at a route that streams
        elif flat is not None:
            answer["headers"] = _headers(status, _kind(answer))
            if YAML in answer["content"]:  # the same document, in other letters
                answer["content"][YAML]["schema"] = flat["schema"]
            answer["content"] |= documents.answered(flat, schemas, place, path)
        elif status == "204" and path.endswith(PARTS):
            answer["headers"] = {"ETag": ETAG}
    refusals = _refusals(told)
    answers = {status: answer for status, answer in operation["responses"].items() if status not in refusals}
    operation["responses"] = answers | refusals
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        content |= documents.brought(content[JSON], schemas, place)


def _headers(status: str, kind: str) -> dict[str, Any]:
    found = {}
    if kind in WITH_ETAG:
        found["ETag"] = ETAG
    if status == "201" or (status == "202" and kind == "Run"):
        found["Location"] = LOCATION
    return found


def _refusals(kinds: set[str]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for kind in sorted(kinds):
        by_status.setdefault(EXAMPLES[kind].status, []).append(kind)
    return {str(status): _refusal(status, by_status[status]) for status in sorted(by_status)}


def _refusal(status: int, kinds: list[str]) -> dict[str, Any]:
    """Problem details, or errors of JSON:API, of these types."""
    flat = {kind: {"$ref": EXAMPLE.format(name=kind)} for kind in kinds}
    ours = {kind: {"$ref": EXAMPLE.format(name=_document_name(kind))} for kind in kinds}
    found: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{kind}`' for kind in kinds)}",
        "content": {
            PROBLEM: {"schema": {"$ref": SENT.format(model="Problem")}, "examples": flat},
            MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/JsonApiErrors"}, "examples": ours},
        },
    }
    if status in (429, 503):
        found["headers"] = {"Retry-After": RETRY_AFTER}
    if status == 401:
        found["headers"] = {"WWW-Authenticate": WWW_AUTHENTICATE}
    return found
