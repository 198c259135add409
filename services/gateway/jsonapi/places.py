"""What a path speaks of: which resource is sent to it, and which one it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from services.gateway.jsonapi.resources import BY_COLLECTION, PIPELINES, RUNS, WEBHOOK_DELIVERIES, Resource
from shared.contracts.rest import PREFIX


@dataclass(frozen=True)
class Place:
    """Where a request goes, read from its method and the shape of its path."""

    #: None: answers something that is no resource, told in `meta`.
    answers: Resource | None = None
    #: None: the attributes of a document that is sent are the flat body, as they are.
    takes: Resource | None = None
    is_list: bool = False
    #: A document may be left out, and is no resource that exists afterwards.
    is_action: bool = False
    #: The flat field that takes an id of the client's choice.
    own_id: str | None = None
    #: What the path says of the owner, and of the resource: an id, a slug or a key.
    owner: str | None = None
    name: str | None = None
    is_read: bool = False


#: What an action answers, by its name; those that are not here answer something else.
ACTIONS: Mapping[str, Place] = {
    "publish": Place(answers=PIPELINES),
    "archive": Place(answers=PIPELINES),
    "execute": Place(answers=RUNS, own_id="run_id"),
    "start": Place(answers=RUNS),
    "cancel": Place(answers=RUNS),
    "complete": Place(answers=RUNS),
    "fail": Place(answers=RUNS),
    "retry": Place(answers=RUNS, own_id="run_id"),
    "resend": Place(answers=WEBHOOK_DELIVERIES),
}
#: Names that no pipeline can be reached by, since they take a document.
ON_COLLECTIONS = frozenset({"apply", "validate"})


def place_of(method: str, path: str) -> Place:
    """Collections and names take turns; what follows a name and is no collection is an action."""
    parts = path.removeprefix(PREFIX).strip("/").split("/")
    resource = BY_COLLECTION.get(parts[0])
    name: str | None = None
    owner: str | None = None
    while resource is not None:
        owner, name = _as_written(name), None
        if len(parts) == 1:
            return _collection(resource, owner, method)
        name = parts[1]
        if len(parts) == 2:
            return _single(resource, owner, name, method)
        parts = parts[2:]
        if parts[0] not in BY_COLLECTION:
            return _action("/".join(parts), method)
        resource = BY_COLLECTION[parts[0]]
    return Place(is_read=method == "GET")


def _as_written(name: str | None) -> str | None:
    """Ids in the one form that answers have, however the path spells them."""
    try:
        return str(UUID(name)) if name is not None else None
    except ValueError:
        return name


def _collection(resource: Resource, owner: str | None, method: str) -> Place:
    if method == "GET":
        return Place(answers=resource, is_list=True, owner=owner, is_read=True)
    return Place(answers=resource, takes=resource, owner=owner)


def _single(resource: Resource, owner: str | None, name: str, method: str) -> Place:
    if name in ON_COLLECTIONS and method == "POST":
        return Place(takes=resource)
    return Place(answers=resource, takes=resource, owner=owner, name=name, is_read=method == "GET")


def _action(name: str, method: str) -> Place:
    known = ACTIONS.get(name) if method == "POST" else None
    if known is None:
        return Place(is_action=True, is_read=method == "GET")
    return Place(answers=known.answers, is_action=True, own_id=known.own_id)
