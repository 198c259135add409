"""Outputs: what could not be stored or passed on never leaves the worker."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from services.executors.kit.errors import PermanentNodeError
from services.executors.kit.outputs import METADATA_LIMIT, TEXT_LIMIT, encode_metadata, encode_output, storable_text
from shared.contracts.nodes import NodeReady
from shared.storable import DEPTH_LIMIT, OUTPUT_LIMIT
from tests.unit.executors.attempts import ready


def nested(depth: int) -> Any:
    value: Any = "deep"
    for number in range(depth):
        value = [value] if number % 2 else {"in": value}
    return value


@pytest.mark.parametrize(
    "output",
    [
        {},
        {"a": [1, 1.5, None, True, "ü", {"b": []}]},
        {"a": "\\u0000"},
        {"a": "\x01"},
        {"a": (1, 2)},
        {"a": nested(99)},
    ],
    ids=lambda output: str(output)[:30],
)
def test_json_is_encoded_as_it_is(output: dict[str, Any]):
    assert orjson.loads(encode_output(output)) == orjson.loads(orjson.dumps(output))


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (float("nan"), "NaN or infinity"),
        (float("-inf"), "NaN or infinity"),
        ([{"a": (float("inf"),)}], "NaN or infinity"),
        ("a\x00b", "the character U+0000"),
        ({"a\x00": 1}, "the character U+0000"),
        ("\\\x00", "the character U+0000"),
        ("\ud800", "not JSON"),
        (object(), "not JSON"),
        ({1, 2}, "not JSON"),
        (b"bytes", "not JSON"),
        (2**64, "not JSON"),
        ({1: "a"}, "not JSON"),
        (nested(DEPTH_LIMIT + 1), "more than 100 lists and objects inside each other"),
        (nested(500), "more than 100 lists and objects inside each other"),
        (nested(5000), "more than 100 lists and objects inside each other"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_stored_is_refused_by_name(value: Any, what: str):
    with pytest.raises(PermanentNodeError) as refused:
        encode_output({"a": value})
    assert refused.value.code == "unstorable_output"
    assert what in refused.value.message


def test_an_output_may_be_as_large_as_the_limit_and_no_larger():
    around = len(encode_output({"a": ""}))
    assert len(encode_output({"a": "x" * (OUTPUT_LIMIT - around)})) == OUTPUT_LIMIT
    with pytest.raises(PermanentNodeError) as refused:
        encode_output({"a": "x" * (OUTPUT_LIMIT - around + 1)})
    assert refused.value.code == "output_too_large"
    assert refused.value.message.startswith(f"The output has {OUTPUT_LIMIT + 1} bytes; at most {OUTPUT_LIMIT}")


def test_the_deepest_output_can_be_read_by_the_next_worker():
    """A reader that stops before it would park the work of every node below."""
    deepest = orjson.loads(encode_output({"a": nested(DEPTH_LIMIT)}))
    work = ready({}, {"nodes": {"a": {"status": "completed", "output": deepest}}})
    assert NodeReady.model_validate_json(work.model_dump_json()) == work


@pytest.mark.parametrize(
    "value", [object(), "a\x00b", "\ud800", float("nan"), 2**64, nested(500), "x" * METADATA_LIMIT]
)
def test_figures_that_cannot_be_kept_are_left_out(value: Any):
    assert orjson.loads(encode_metadata({"usage": value})).keys() == {"left_out"}


def test_figures_are_kept_as_they_are():
    assert orjson.loads(encode_metadata({"usage": {"cost": 0.5}})) == {"usage": {"cost": 0.5}}


@pytest.mark.parametrize(
    ("text", "told"),
    [("Grüße 🙂", "Grüße 🙂"), ("a\x00b", "a\ufffdb"), ("a\ud800b", "a?b"), ("x" * 9000, "x" * TEXT_LIMIT)],
    ids=["plain", "zero", "half", "long"],
)
def test_words_are_told_without_what_cannot_be_stored(text: str, told: str):
    assert storable_text(text) == told
