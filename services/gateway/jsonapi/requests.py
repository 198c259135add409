"""JSON:API documents that are sent, as flat bodies. Pure; remembers where each part stood, for what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from services.gateway.jsonapi.places import Place
from services.gateway.jsonapi.refusals import BadDocumentError, OtherResourceError, OwnIdError
from services.gateway.jsonapi.resources import BY_TYPE, Held, Named, Resource
from shared.contracts.message import JsonObject


@dataclass(frozen=True)
class Sent:
    """A flat body, and the place in the document of each part of it that stands elsewhere."""

    flat: JsonObject
    #: Pointer into the flat body -> pointer into the document; holds for all below it.
    places: Mapping[str, str]


def flat_body(document: Any, place: Place) -> Sent:
    """The attributes; of what relationships name in `included`, the whole. Raises what refusals.py draws."""
    if not isinstance(document, dict):
        raise BadDocumentError("", 'must be an object, like {"data": {"type": "pipelines", "attributes": {}}}.')
    data = document.get("data")
    if data is None and place.is_action:
        return Sent({}, {"": ""})
    if not isinstance(data, dict):
        raise BadDocumentError("/data", "must be one resource object. Send its type and its attributes.")
    reading = _Reading(_included(document))
    _check_type(data, "/data", place.takes)
    flat = reading.resource(data, "/data", place.takes, "")
    _take_id(data, place, flat, reading.places)
    reading.check_linkage()
    return Sent(flat, reading.places)


def _included(document: JsonObject) -> list[Any]:
    found = document.get("included", [])
    if not isinstance(found, list):
        raise BadDocumentError("/included", "must be an array of resource objects.")
    return found


def _check_type(item: JsonObject, at: str, resource: Resource | None) -> None:
    kind = item.get("type")
    if not isinstance(kind, str):
        raise BadDocumentError(f"{at}/type", "must name the type of the resource.")
    if resource is not None and kind != resource.type:
        raise OtherResourceError(f"{at}/type", f"is '{kind}', and this takes '{resource.type}'. Send that.")


def _take_id(data: JsonObject, place: Place, flat: JsonObject, places: dict[str, str]) -> None:
    """An id is the one of the path, or the client's choice where the flat interface takes one."""
    if "id" not in data:
        return
    sent = data["id"]
    if place.own_id is not None:
        if flat.setdefault(place.own_id, sent) != sent:
            raise BadDocumentError("/data/id", f"differs from the attribute '{place.own_id}'. Send one of them.")
        places[f"/{place.own_id}"] = "/data/id"
    elif place.is_action or place.takes is None:
        return
    elif place.name is None:
        raise OwnIdError("/data/id", "is chosen by the server. Leave it out.")
    elif not _may_be(sent, place.name):
        raise OtherResourceError("/data/id", f"is '{sent}', and the path names '{place.name}'. Send them alike.")


def _may_be(sent: Any, name: str) -> bool:
    """A slug in the path says nothing of an id; a key is the end of its id."""
    if not isinstance(sent, str):
        return False
    if ":" in sent:
        return sent.partition(":")[2] == name
    return sent.lower() == name.lower() or not _is_id(name)


def _is_id(name: str) -> bool:
    return len(name) == 36 and name.count("-") == 4


@dataclass
class _Reading:
    """One document while it is read."""

    included: list[Any]
    places: dict[str, str] = field(default_factory=dict)
    #: Positions in `included` that a relationship names.
    named: set[int] = field(default_factory=set)

    def resource(self, item: JsonObject, at: str, resource: Resource | None, flat_at: str) -> JsonObject:
        self.places[flat_at] = f"{at}/attributes"
        attributes = _object(item, "attributes", at)
        renamed = {shown: name for name, shown in resource.renamed.items()} if resource is not None else {}
        flat: JsonObject = {}
        for name, value in attributes.items():
            if name in ("id", "type"):
                known = f" Call it '{resource.renamed[name]}'." if resource and name in resource.renamed else ""
                raise BadDocumentError(f"{at}/attributes/{name}", f"cannot be an attribute.{known}")
            flat[renamed.get(name, name)] = value
        for shown, name in renamed.items():
            self.places[f"{flat_at}/{name}"] = f"{at}/attributes/{shown}"
        if resource is not None:
            self._relationships(item, at, resource, flat_at, flat)
        return flat

    def _relationships(self, item: JsonObject, at: str, resource: Resource, flat_at: str, flat: JsonObject) -> None:
        """Those that a flat body can say; what the path names is not read again."""
        for name, relationship in _object(item, "relationships", at).items():
            place = f"{at}/relationships/{name}"
            relation = resource.relations.get(name)
            if relation is None:
                known = ", ".join(resource.relations) or "none"
                raise BadDocumentError(place, f"is no relationship of '{resource.type}'. It has: {known}.")
            if not isinstance(relationship, dict):
                raise BadDocumentError(place, "must be an object with 'data'.")
            writable = isinstance(relation, Held) or (isinstance(relation, Named) and relation.is_key)
            if "data" not in relationship or not writable:
                continue
            assert isinstance(relation, Held | Named)
            if relation.field in flat:
                raise BadDocumentError(place, "is an attribute too. Send one of them.")
            flat_place = f"{flat_at}/{relation.field}"
            self.places[flat_place] = f"{place}/data"
            if isinstance(relation, Held):
                flat[relation.field] = self._whole(relationship["data"], f"{place}/data", relation, flat_place)
            else:
                flat[relation.field] = self._key(relationship["data"], f"{place}/data", relation)

    def _whole(self, identifiers: Any, at: str, relation: Held, flat_at: str) -> list[JsonObject]:
        if not isinstance(identifiers, list):
            raise BadDocumentError(at, f"must be an array of identifiers of '{relation.type}'.")
        found = []
        for number, identifier in enumerate(identifiers):
            here = f"{at}/{number}"
            position = self._position(identifier, here, relation.type)
            if position is None:
                raise BadDocumentError(here, "is not in 'included'. Send the resource there, under the same id or lid.")
            self.named.add(position)
            item = self.included[position]
            found.append(self.resource(item, f"/included/{position}", BY_TYPE[relation.type], f"{flat_at}/{number}"))
        return found

    def _key(self, identifier: Any, at: str, relation: Named) -> Any:
        """Of a resource in the document its key; of another one, the end of its id."""
        resource = BY_TYPE[relation.type]
        position = self._position(identifier, at, relation.type)
        if position is not None:
            return _object(self.included[position], "attributes", f"/included/{position}").get(resource.key)
        if "id" not in identifier:
            raise BadDocumentError(at, f"names no '{relation.type}' of 'included'. Send its id, or its lid.")
        return str(identifier["id"]).rpartition(":")[2]

    def _position(self, identifier: Any, at: str, kind: str) -> int | None:
        if not isinstance(identifier, dict) or not {"id", "lid"} & identifier.keys():
            raise BadDocumentError(at, f'must be an identifier, like {{"type": "{kind}", "id": "..."}}.')
        _check_type(identifier, at, BY_TYPE[kind])
        return self._positions.get((kind, *_name_of(identifier)))

    @cached_property
    def _positions(self) -> dict[tuple[str, str, str], int]:
        """In `included`, by type and id or lid."""
        known = {}
        for position, item in enumerate(self.included):
            if not isinstance(item, dict) or not isinstance(item.get("type"), str):
                raise BadDocumentError(f"/included/{position}", "must be a resource object with a type.")
            known[item["type"], *_name_of(item)] = position
        return known

    def check_linkage(self) -> None:
        """Raises BadDocumentError when something was included in vain, which would be lost without a word."""
        for position in range(len(self.included)):
            if position not in self.named:
                raise BadDocumentError(
                    f"/included/{position}", "is named by no relationship. Name it in one, or leave it out."
                )


def _name_of(item: JsonObject) -> tuple[str, str]:
    kind = "lid" if "lid" in item else "id"
    return kind, str(item.get(kind))


def _object(item: JsonObject, name: str, at: str) -> JsonObject:
    found = item.get(name, {})
    if not isinstance(found, dict):
        raise BadDocumentError(f"{at}/{name}", "must be an object.")
    return found
