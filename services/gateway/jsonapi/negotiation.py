"""Which representation a request brings and which it asks for, by the rules of JSON:API 1.1."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.gateway.jsonapi.refusals import NotAcceptableError, UnsupportedMediaTypeError

MEDIA_TYPE = "application/vnd.api+json"
FLAT_MEDIA_TYPE = "application/json"
#: No extension is known here, and what profiles add may be ignored.
ALLOWED = frozenset({"profile"})

_LIST_ITEM = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*"?)+')
_PARAMETER = re.compile(r'(?:[^;"]|"(?:\\.|[^"\\])*"?)+')


@dataclass(frozen=True)
class MediaType:
    """As one item of a header names it."""

    name: str
    #: Names of its parameters, without the weight.
    parameters: frozenset[str] = frozenset()
    weight: float = 1.0

    @property
    def is_understood(self) -> bool:
        return self.parameters <= ALLOWED


def asks_for_document(accept: str | None) -> bool:
    """Whether the answer is to be a JSON:API document; raises NotAcceptableError.

    Only who names JSON:API, and likes nothing flat better, is answered so.
    """
    wanted = media_types(accept or "")
    ours = [item for item in wanted if item.name == MEDIA_TYPE]
    understood = [item for item in ours if item.is_understood]
    if ours and not understood:
        raise NotAcceptableError(
            "not_acceptable",
            f"Accept names {MEDIA_TYPE} with parameters only. Name it at least once without any but 'profile'.",
        )
    weight = max((item.weight for item in understood), default=0.0)
    return weight > 0 and weight >= _weight_of_flat(wanted)


def brings_document(content_type: str | None) -> bool:
    """Whether the body is a JSON:API document; raises UnsupportedMediaTypeError."""
    found = media_type(content_type or "")
    if found.name != MEDIA_TYPE:
        return False
    if not found.is_understood:
        named = ", ".join(sorted(found.parameters - ALLOWED))
        raise UnsupportedMediaTypeError(
            "unsupported_media_type",
            f"Content-Type is {MEDIA_TYPE} with the parameter {named}. Send it without any but 'profile'.",
        )
    return True


def media_types(header: str) -> list[MediaType]:
    return [media_type(item) for item in _LIST_ITEM.findall(header) if item.strip()]


def media_type(text: str) -> MediaType:
    name, *rest = (part.strip() for part in _PARAMETER.findall(text) or [""])
    parameters = {left.strip().lower(): right.strip() for left, _, right in (part.partition("=") for part in rest)}
    weight = _weight(parameters.pop("q", "1"))
    return MediaType(name.lower(), frozenset(parameters) - {""}, weight)


def _weight(text: str) -> float:
    """What cannot be read is no wish."""
    return float(text) if re.fullmatch(r"[01](\.\d{0,3})?", text) else 0.0


def _weight_of_flat(wanted: list[MediaType]) -> float:
    """Of the range that names flat JSON most exactly."""
    for name in (FLAT_MEDIA_TYPE, "application/*", "*/*"):
        weights = [item.weight for item in wanted if item.name == name]
        if weights:
            return max(weights)
    return 0.0
