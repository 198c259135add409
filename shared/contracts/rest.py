"""Where things are in the REST interface."""

from __future__ import annotations

from urllib.parse import quote

#: What all paths of the interface begin with.
PREFIX = "/api/v3"


def path_to(*parts: object) -> str:
    """The path of a resource, each part escaped so that it stays one part."""
    return PREFIX + "".join(f"/{_escaped(str(part))}" for part in parts)


def _escaped(part: str) -> str:
    # Dots alone would be taken for the folder itself, or the one above.
    return "%2E" * len(part) if part in (".", "..") else quote(part, safe="")
