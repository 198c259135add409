"""The JSON:API form of bodies and answers, made of their flat schemas and examples."""

from __future__ import annotations

from services.gateway.jsonapi.documents import VERSION, document_of
from services.gateway.jsonapi.errors import Origin, error_document
from services.gateway.jsonapi.negotiation import MEDIA_TYPE
from services.gateway.jsonapi.places import Place
from services.gateway.jsonapi.queries import Wish
from services.gateway.jsonapi.resources import Resource
from shared.contracts.message import JsonObject
from shared.contracts.problems import Problem

OBJECT: JsonObject = {"type": "object"}
LINK: JsonObject = {"type": ["string", "null"]}
LINKS: JsonObject = {"type": "object", "additionalProperties": LINK}
RELATIONSHIPS: JsonObject = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "minProperties": 1,
        "properties": {"data": {"type": ["object", "array", "null"]}, "links": LINKS},
    },
}
INCLUDED: JsonObject = {
    "type": "array",
    "items": {"type": "object", "required": ["type", "id"], "properties": {"attributes": OBJECT}},
}
ERRORS: JsonObject = {
    "type": "object",
    "description": "Why a request was refused, as JSON:API: an error for each place at fault.",
    "required": ["jsonapi", "errors"],
    "properties": {
        "jsonapi": {"const": VERSION},
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["status", "code", "title", "detail"],
                "properties": {
                    "status": {"type": "string", "pattern": "^[45][0-9][0-9]$"},
                    "code": {"type": "string", "description": "What problem details call `type`"},
                    "title": {"type": "string"},
                    "detail": {"type": "string"},
                    "source": {"type": "object", "additionalProperties": {"type": "string"}},
                    "meta": OBJECT,
                },
            },
        },
    },
}


def answered(flat: JsonObject, schemas: JsonObject, place: Place, path: str) -> JsonObject:
    """The media type of an answer, beside its flat one."""
    schema = _schema_of(flat["schema"], schemas)
    drawn = document_of(flat["example"], place, Wish(), path, "")
    properties: JsonObject = {"jsonapi": {"const": VERSION}, "links": LINKS}
    resource = place.answers
    if resource is None or "meta" in drawn:
        return _document(properties | {"meta": flat["schema"]}, ["jsonapi", "meta"], drawn)
    if place.is_list:
        item = _schema_of(schema["properties"][resource.items]["items"], schemas)
        data: JsonObject = {"type": "array", "items": _resource(resource, item, ["type", "id"])}
    else:
        data = _resource(resource, schema, ["type", "id"])
    return _document(properties | {"data": data, "included": INCLUDED}, ["jsonapi", "data"], drawn)


def brought(flat: JsonObject, schemas: JsonObject, place: Place) -> JsonObject:
    """The media type of a body, beside its flat one."""
    schema, example, resource = _schema_of(flat["schema"], schemas), flat["example"], place.takes
    if resource is not None:
        data = _resource(resource, schema, ["type", "attributes"])
        named = {resource.renamed.get(name, name): value for name, value in example.items()}
        drawn = {"data": {"type": resource.type, "attributes": named}}
    else:
        kind = place.answers.type if place.answers is not None else "actions"
        data = {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"type": "string"}, "attributes": flat["schema"]},
        }
        drawn = {"data": {"type": kind, "attributes": example}}
    return _document({"data": data, "included": INCLUDED}, ["data"], drawn)


def refused(problem: Problem) -> JsonObject:
    """A problem as errors, as one who sent no body sees it."""
    return error_document(problem.model_dump(mode="json", exclude_none=True), Origin())


def _document(properties: JsonObject, required: list[str], example: JsonObject) -> JsonObject:
    schema = {"type": "object", "required": required, "properties": properties}
    return {MEDIA_TYPE: {"schema": schema, "example": example}}


def _resource(resource: Resource, flat: JsonObject, required: list[str]) -> JsonObject:
    """Any attribute may be missing: `fields[...]` leaves them out."""
    attributes = {
        resource.renamed.get(name, name): schema
        for name, schema in flat["properties"].items()
        if name not in resource.elsewhere or "id" not in required
    }
    return {
        "type": "object",
        "required": required,
        "properties": {
            "type": {"const": resource.type},
            "id": {"type": "string"},
            "attributes": {"type": "object", "properties": attributes},
            "relationships": RELATIONSHIPS,
            "links": LINKS,
            "meta": OBJECT,
        },
    }


def _schema_of(schema: JsonObject, schemas: JsonObject) -> JsonObject:
    reference = schema.get("$ref")
    found: JsonObject = schemas[reference.rpartition("/")[2]] if reference is not None else schema
    return found
