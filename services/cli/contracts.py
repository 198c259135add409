"""Writes down from the code what people and other languages rely on: JSON Schemas, an AsyncAPI document, the settings.

`python -m services.cli.contracts docs` writes all into `docs`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

from services.cli.asyncapi import asyncapi, documented
from services.cli.settings_docs import settings_document
from shared.contracts.message import Message


def message_classes() -> list[type[Message]]:
    """Every message of `shared.contracts`, by name."""
    ours = [kind for kind in Message.__subclasses__() if kind.__module__.startswith("shared.contracts.")]
    return sorted(ours, key=lambda kind: kind.name)


def documents() -> dict[str, str]:
    """File name -> text of all that is written."""
    found: dict[str, Any] = {
        f"schemas/{kind.name}.v{kind.version}.json": documented(kind).model_json_schema() for kind in message_classes()
    }
    found["asyncapi.json"] = asyncapi()
    texts = {name: orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n" for name, value in found.items()}
    return texts | {"settings.md": settings_document()}


def write(folder: Path) -> None:
    """Write every document; what is there under another name stays."""
    for name, text in documents().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
