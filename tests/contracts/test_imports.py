"""The contracts are data: whoever has pydantic can read them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import shared.contracts

FOLDER = Path(shared.contracts.__file__).parent


def imported(path: Path) -> Iterator[str]:
    """The names of all modules that this file imports, anywhere in it."""
    for found in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(found, ast.Import):
            yield from (name.name for name in found.names)
        elif isinstance(found, ast.ImportFrom):
            yield found.module or "."


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_a_contract_imports_pydantic_and_the_standard_library_alone(path: Path):
    allowed = sys.stdlib_module_names | {"pydantic"}
    others = [name for name in imported(path) if name.split(".")[0] not in allowed]
    assert [name for name in others if not name.startswith("shared.contracts.")] == []
