"""Where things are in the REST interface."""

from __future__ import annotations

from urllib.parse import quote

#: What all paths of the interface begin with.
PREFIX = "/api/v3"


def path_to(*parts: object) -> str:
    """The path of a resource, each part escaped so that it stays one part."""
    return PREFIX + "".join(f"/{quote(str(part), safe='')}" for part in parts)
