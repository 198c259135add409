"""Which JSON text Postgres can store."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given, settings

from shared.storable import (
    DEPTH_LIMIT,
    TOO_DEEP,
    fault_of,
    holds_zero_character,
    is_too_deep,
    may_be_unstorable,
    zero_places,
)

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
    """So many lists and objects inside each other."""
    value: Any = 1
    for number in range(depth):
        value = [value, 2] if number % 2 else {"in": value, "beside": 3}
    return value


def test_what_is_nested_to_the_limit_is_kept_and_no_deeper():
    assert not is_too_deep(nested(DEPTH_LIMIT + 1))
    assert is_too_deep(nested(DEPTH_LIMIT + 2))
    assert not any(map(is_too_deep, ("text", 1, None, {}, [])))


def test_depth_is_told_of_what_no_writer_could_write():
    assert is_too_deep(nested(100_000))


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"a": [1, "b"]}, None),
        (nested(500), TOO_DEEP),
        ({"a": 2**64}, "something that cannot be passed on: Integer exceeds 64-bit range"),
        ({"a\x00": 1}, "the character U+0000"),
    ],
    ids=["nothing", "depth", "a number", "a character"],
)
def test_a_fault_is_told_in_words(value: Any, fault: str | None):
    assert fault_of(value) == fault


def test_the_zero_character_is_told_with_its_places():
    value = {"a": ["b", "\x00"], "c/d": {"e": "x\x00y"}, "f": {"g\x00": 1}}
    assert list(zero_places(value)) == ["/a/1", "/c~1d/e", "/f"]


@given(values)
@settings(max_examples=300)
def test_what_is_unstorable_is_suspected_from_its_text(value: Any):
    if fault_of(value) is not None:
        assert may_be_unstorable(orjson.dumps(value))


def test_depth_is_suspected_from_the_brackets():
    assert may_be_unstorable(orjson.dumps(nested(DEPTH_LIMIT + 1)))
    assert not may_be_unstorable(orjson.dumps(nested(DEPTH_LIMIT)))


@pytest.mark.parametrize("others", [1, 60, 400])
def test_brackets_of_others_hide_no_depth(others: int):
    small = [{"outcome": {}}] * others

    assert may_be_unstorable(orjson.dumps([*small, nested(DEPTH_LIMIT + 1)]), 2 * others)
    assert not may_be_unstorable(orjson.dumps([*small, nested(DEPTH_LIMIT - 1)]), 2 * others)
