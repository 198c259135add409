"""The points at which services die or freeze are places that there are."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from tests.faults.crashing import POINTS, Point


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS.keys())
def test_a_point_is_a_function_that_there_is(point: Point) -> None:
    module, _, path = point.place.partition(":")
    found: Any = import_module(module)
    for name in path.split("."):
        found = getattr(found, name)

    assert callable(found)
