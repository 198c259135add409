"""Reads a node type's examples: shown in the catalogue, run by the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson


def read_examples(node_type: str) -> list[dict[str, Any]]:
    path = Path(__file__).parent.parent / node_type / "examples.json"
    examples: list[dict[str, Any]] = orjson.loads(path.read_bytes())
    return examples
