"""JSON Merge Patch (RFC 7396): pure."""

from __future__ import annotations

from typing import Any


def merged(target: Any, changes: Any) -> Any:
    """Objects are merged field by field, null takes a field away, and everything else is replaced."""
    if not isinstance(changes, dict):
        return changes
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in changes.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found
