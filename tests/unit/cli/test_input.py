"""What a user may type: inputs of a run, documents, numbers of workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.cli.commands.pipelines import read_document
from services.cli.commands.runs import read_input
from services.cli.main import _counts
from services.cli.output import EXIT_USAGE


def refused(capsys: pytest.CaptureFixture[str], caught: pytest.ExceptionInfo[SystemExit]) -> str:
    """The words of a refusal for a wrong command line."""
    assert caught.value.code == EXIT_USAGE
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("k=text", "text"),
        ("k=7", 7),
        ("k=true", True),
        ("k=null", None),
        ('k={"a": [1]}', {"a": [1]}),
        ('k="7"', "7"),
        ("k=", ""),
        ("k=a=b", "a=b"),
        ("k=01", "01"),
        ("k=[/red]", "[/red]"),
    ],
)
def test_a_value_is_json_if_it_parses_as_that_else_text(pair: str, value: Any):
    assert read_input([pair], None) == {"k": value}


@pytest.mark.parametrize("pair", ["k", "=v", "", "[/red]"])
def test_a_pair_without_key_or_sign_is_refused(pair: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        read_input([pair], None)
    assert f"--input {pair}: write it as key=value." in refused(capsys, caught)


def test_pairs_win_over_the_file(tmp_path: Path):
    file = tmp_path / "input.json"
    file.write_text('{"a": 1, "b": 2}')
    assert read_input(["b=3"], file) == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("body", "words"), [("[1]", "must hold a JSON object"), ("{", "is not JSON"), ("", "is not JSON")]
)
def test_a_file_must_hold_an_object(body: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "input.json"
    file.write_text(body)
    with pytest.raises(SystemExit) as caught:
        read_input([], file)
    assert words in refused(capsys, caught)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        read_input([], tmp_path / "absent.json")
    assert "absent.json could not be read: No such file" in refused(capsys, caught)


@pytest.mark.parametrize("text", ["name: Tested\nnodes: []\n", '{"name": "Tested", "nodes": []}'])
def test_a_document_is_yaml_or_json(text: str, tmp_path: Path):
    file = tmp_path / "pipeline"
    file.write_text(text)
    assert read_document(file) == {"name": "Tested", "nodes": []}


@pytest.mark.parametrize(("body", "words"), [(b"a: [", "is neither YAML nor JSON"), (b"a: \xff", "is not UTF-8 text")])
def test_a_document_that_cannot_be_read_is_refused(
    body: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "pipeline.yaml"
    file.write_bytes(body)
    with pytest.raises(SystemExit) as caught:
        read_document(file)
    assert words in refused(capsys, caught)


def test_workers_are_counted_by_type():
    assert _counts(["llm=4", "text=2"]) == {"llm": 4, "text": 2}


@pytest.mark.parametrize("pair", ["llm", "llm=", "llm=0", "llm=65", "llm=-1", "llm=x", "email=2", "=2"])
def test_a_number_of_workers_that_makes_no_sense_is_refused(pair: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        _counts([pair])
    assert f"--workers {pair}: write it as type=n" in refused(capsys, caught)
