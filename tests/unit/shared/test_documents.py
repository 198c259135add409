"""What people write in files."""

from __future__ import annotations

import orjson
import pytest
import yaml

from shared.documents import DocumentError, parse, to_yaml

DOCUMENT = {
    "name": "Two",
    "nodes": [{"key": "a", "config": {"content": "1 < 2\n \U0001f600"}}],
    "n": [1, 2.5, None],
}


@pytest.mark.parametrize("text", [orjson.dumps(DOCUMENT).decode(), yaml.safe_dump(DOCUMENT), "%YAML 1.1\n---\n{a: 1}"])
def test_json_and_yaml_are_read_alike(text: str) -> None:
    assert parse(text) == yaml.safe_load(text)


def test_what_yaml_reads_in_another_way_is_read_as_json_where_it_is_json() -> None:
    """A number without a sign in its exponent, and a line separator in a text."""
    assert parse('{"a": 1e3, "b": "one\u2028two"}') == {"a": 1000.0, "b": "one\u2028two"}


def test_what_is_written_is_read_again() -> None:
    assert parse(to_yaml(DOCUMENT)) == DOCUMENT
    assert list(parse(to_yaml(DOCUMENT))) == list(DOCUMENT)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "line 1, column 4"),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
        ("[" * 50_000, "inside each other"),
        ("[" * 50_000 + "]" * 50_000, "inside each other"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        parse(text)
