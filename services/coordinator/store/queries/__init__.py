"""The longer SQL statements, one file each."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def query(name: str) -> bytes:
    return (Path(__file__).parent / f"{name}.sql").read_bytes()
