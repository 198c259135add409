"""Problem details as JSON:API errors, each with the place in what the client sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.gateway.jsonapi.documents import VERSION
from shared.contracts.message import JsonObject

#: Problems whose findings are about the request's query, path and headers, in the first part of their pointers.
ABOUT_PARAMETERS = frozenset({"invalid_request", "invalid_query"})
#: What a problem tells to programs, besides what JSON:API has a member for.
MEMBERS = ("retry_after_s", "state", "allowed")


@dataclass(frozen=True)
class Origin:
    """What the client sent, as far as it explains where an error lies."""

    #: The document or the flat body; None when there was none, or when it was not read.
    body: Any = None
    #: Pointer into the flat body -> pointer into `body`.
    places: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    #: Flat name of a query parameter -> the name that was sent.
    names: Mapping[str, str] = field(default_factory=dict)


def error_document(problem: JsonObject, origin: Origin) -> JsonObject:
    """One error for each finding, or one for the problem as a whole."""
    common: JsonObject = {"status": str(problem["status"]), "code": problem["type"], "title": problem["title"]}
    if told := {name: problem[name] for name in MEMBERS if name in problem}:
        common["meta"] = told
    findings = problem.get("errors") or [{"detail": problem["detail"]}]
    return {"jsonapi": VERSION, "errors": [common | _finding(item, problem["type"], origin) for item in findings]}


def _finding(item: JsonObject, kind: str, origin: Origin) -> JsonObject:
    pointer = item.get("pointer")
    if pointer is None:
        return {"detail": item["detail"]}
    if kind in ABOUT_PARAMETERS:
        where, _, name = pointer.removeprefix("/").partition("/")
        member = {"query": "parameter", "header": "header"}.get(where)
        source = {member: origin.names.get(name, name)} if member is not None else None
        return {"detail": item["detail"]} | ({"source": source} if source else {})
    return _in_body(pointer, item["detail"], origin)


def _in_body(pointer: str, detail: str, origin: Origin) -> JsonObject:
    """A pointer leads to what exists; the rest of it is said in words."""
    if origin.body is None:
        return {"detail": f"{pointer}: {detail}" if pointer else detail}
    found = moved(pointer, origin.places)
    present = _present_part(found, origin.body)
    missing = found[len(present) :]
    return {"detail": f"{missing}: {detail}" if missing else detail, "source": {"pointer": present}}


def moved(pointer: str, places: Mapping[str, str]) -> str:
    """The pointer into the document, by the longest part of it whose place is known."""
    known = pointer
    while known not in places:
        known = known.rpartition("/")[0]
    if pointer == "" and places[""]:
        return places[""].rpartition("/")[0]  # the whole body is the resource, not its attributes
    return places[known] + pointer[len(known) :]


def _present_part(pointer: str, body: Any) -> str:
    present, value = "", body
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            break
        present = f"{present}/{part}"
    return present
