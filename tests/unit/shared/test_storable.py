"""Which JSON text Postgres can store."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given, settings

from shared.storable import DEPTH_LIMIT, holds_zero_character, may_be_unstorable, storable_problem

values = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(st.sampled_from('\x00\\u0"ax'), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.sampled_from("\x00\\u0"), max_size=6), inner, max_size=2)
    ),
    max_leaves=5,
)


def holds(value: Any) -> bool:
    """The slow way: look at every text."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(holds(key) or holds(item) for key, item in value.items())
    return isinstance(value, list) and any(map(holds, value))


@settings(max_examples=150, deadline=None, database=None)
@given(value=values)
def test_the_zero_character_is_found_wherever_it_stands(value: Any):
    assert holds_zero_character(orjson.dumps(value)) is holds(value)
    assert holds_zero_character(json.dumps(value).encode()) is holds(value)


@pytest.mark.parametrize(
    ("text", "is_held"),
    [
        (rb'"\u0000"', True),
        (rb'"a\u0000b"', True),
        (rb'"\\u0000"', False),
        (rb'"\\\u0000"', True),
        (rb'"\\\\u0000"', False),
        (rb'{"\u0000": 1}', True),
        (rb'"\u00001"', True),
        (rb'"\\u0000 \u0000"', True),
        (rb'"\u0001 u0000 0000"', False),
        (b"", False),
    ],
)
def test_text_that_spells_the_escape_does_not_hold_the_character(text: bytes, is_held: bool):
    assert holds_zero_character(text) is is_held


def test_much_text_is_looked_through_quickly():
    assert not holds_zero_character(b'"' + rb"\\" * 100_000 + rb"u0000" + b'"')
    assert holds_zero_character(b'"' + rb"\\" * 100_000 + rb"\u0000" + b'"')


def nested(depth: int) -> Any:
    value: Any = 1
    for at in range(depth):
        value = [value] if at % 2 else {"in": value}
    return value


def test_what_is_too_deep_is_found_and_told():
    assert storable_problem(nested(DEPTH_LIMIT)) is None
    assert "inside each other" in (storable_problem(nested(DEPTH_LIMIT + 1)) or "")
    assert "U+0000" in (storable_problem({"a": ["\x00"]}) or "")


@given(values)
@settings(max_examples=300)
def test_what_is_unstorable_is_suspected_from_its_text(value: Any):
    if storable_problem(value) is not None:
        assert may_be_unstorable(orjson.dumps(value))


def test_depth_is_suspected_from_the_brackets():
    assert may_be_unstorable(orjson.dumps(nested(DEPTH_LIMIT + 1)))
    assert not may_be_unstorable(orjson.dumps(nested(DEPTH_LIMIT)))
