"""Flat answers as JSON:API documents. Pure; costs a dictionary for each resource that is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.gateway.jsonapi.places import Place
from services.gateway.jsonapi.queries import Tree, Wish, own_link, page_link
from services.gateway.jsonapi.resources import BY_TYPE, Held, Linked, Named, Relation, Resource, link_to
from shared.contracts.message import JsonObject

VERSION = {"version": "1.1"}


def document_of(flat: Any, place: Place, wish: Wish, path: str, query: str) -> JsonObject:
    """The document; `path` and `query` are those of the request. What is no resource known here is told in `meta`."""
    resource = place.answers
    links: JsonObject = {"self": own_link(path, query)} if place.is_read else {}
    document: JsonObject = {"jsonapi": VERSION} | ({"links": links} if links else {})
    if resource is None or not _holds(flat, resource, place):
        return document | {"meta": flat if isinstance(flat, dict) else {"value": flat}}
    drawn = _Drawing(wish.fields)
    if place.is_list:
        document["data"] = [drawn.resource(item, resource, place.owner, wish.include) for item in flat[resource.items]]
        if resource.is_paged:
            following = flat.get("next_after")
            links["first"] = page_link(path, query)
            links["next"] = page_link(path, query, following) if following is not None else None
    else:
        document["data"] = drawn.resource(flat, resource, place.owner, wish.include)
    if wish.include:
        document["included"] = list(drawn.included.values())
    return document


def _holds(flat: Any, resource: Resource, place: Place) -> bool:
    return isinstance(flat, dict) and (resource.items if place.is_list else resource.key) in flat


@dataclass
class _Drawing:
    """One document while it is made: each resource that is included stands in it once."""

    fields: Mapping[str, frozenset[str]]
    included: dict[tuple[str, str], JsonObject] = field(default_factory=dict)

    def resource(self, flat: JsonObject, resource: Resource, owner: str | None, include: Tree) -> JsonObject:
        whole = resource.completed(flat, owner)
        shown = self.fields.get(resource.type)
        drawn: JsonObject = {"type": resource.type, "id": resource.id_of(whole)}
        relationships = {
            name: relationship
            for name, relation in resource.relations.items()
            if (relationship := self._relationship(name, relation, whole, drawn["id"], include)) is not None
            and (shown is None or name in shown)
        }
        members = {
            "attributes": _attributes(whole, resource, shown),
            "relationships": relationships,
            "meta": {name: whole[name] for name in sorted(resource.told) if name in whole},
        }
        drawn |= {name: member for name, member in members.items() if member}
        if resource.link is not None:
            drawn["links"] = {"self": link_to(resource.link, whole)}
        return drawn

    def _relationship(
        self, name: str, relation: Relation, whole: JsonObject, own_id: str, include: Tree
    ) -> JsonObject | None:
        """None when nothing is known of it; what is included is drawn even if its relationship is not shown."""
        match relation:
            case Linked():
                return {"links": {"related": link_to(relation.related, whole)}}
            case Named():
                return _named(relation, whole)
            case Held():
                return self._held(relation, whole, own_id, include.get(name))

    def _held(self, relation: Held, whole: JsonObject, owner: str, include: Tree | None) -> JsonObject | None:
        drawn: JsonObject = {}
        if relation.related is not None:
            drawn["links"] = {"related": link_to(relation.related, whole)}
        items = whole.get(relation.field)
        # Without a link the names are all that leads there.
        if items is not None and (include is not None or relation.related is None):
            resource = BY_TYPE[relation.type]
            drawn["data"] = [_identifier(item, resource, owner) for item in items]
            if include is not None:
                for item, identifier in zip(items, drawn["data"], strict=True):
                    key = (identifier["type"], identifier["id"])
                    self.included.setdefault(key, {})  # before what it holds in its turn
                    self.included[key] = self.resource(item, resource, owner, include)
        return drawn or None


def _attributes(whole: JsonObject, resource: Resource, shown: frozenset[str] | None) -> JsonObject:
    elsewhere = resource.elsewhere
    named = {resource.renamed.get(name, name): value for name, value in whole.items() if name not in elsewhere}
    return {name: value for name, value in named.items() if shown is None or name in shown}


def _named(relation: Named, whole: JsonObject) -> JsonObject | None:
    if relation.field not in whole:
        return None
    name = whole[relation.field]
    if name is None:
        return {"data": None}
    resource = BY_TYPE[relation.type]
    own_id = f"{whole[resource.owner]}:{name}" if relation.is_key and resource.owner is not None else str(name)
    drawn: JsonObject = {"data": {"type": relation.type, "id": own_id}}
    if relation.related is not None:
        drawn["links"] = {"related": link_to(relation.related, whole)}
    return drawn


def _identifier(item: JsonObject, resource: Resource, owner: str) -> JsonObject:
    return {"type": resource.type, "id": resource.id_of(resource.completed(item, owner))}
