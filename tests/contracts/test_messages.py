"""Messages: what was ever sent must parse for ever."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.cli.contracts import message_classes
from shared.contracts.message import Message
from shared.contracts.nodes import NodeResult, NodesFinished
from shared.contracts.pipelines import PipelineApply, PipelineCreate, PipelineDocument, PipelineUpdate

GOLDEN = Path(__file__).parent / "golden"
MESSAGES = {f"{kind.name}.v{kind.version}": kind for kind in message_classes()}
FILES = sorted(GOLDEN.glob("*.json"))


def golden(name: str) -> Any:
    return orjson.loads((GOLDEN / f"{name}.json").read_bytes())


def test_no_two_messages_have_the_same_name_and_version():
    assert len(MESSAGES) == len(message_classes())


@pytest.mark.parametrize("kind", message_classes(), ids=lambda kind: kind.__name__)
def test_every_message_has_a_golden_file(kind: type[Message]):
    path = GOLDEN / f"{kind.name}.v{kind.version}.json"
    assert path.exists(), f"write {path.name} once, with every field; it is never edited afterwards"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_message_is_still_read(path: Path):
    assert path.stem in MESSAGES, f"{path.stem} was sent once and must be read for ever; keep its class"
    MESSAGES[path.stem].model_validate_json(path.read_bytes())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_message_loses_no_field_by_being_read(path: Path):
    known = MESSAGES[path.stem].model_validate_json(path.read_bytes()).model_dump(exclude_unset=True)
    assert known.keys() == golden(path.stem).keys()


@pytest.mark.parametrize("name", MESSAGES)
def test_unknown_fields_are_ignored(name: str):
    kind, body = MESSAGES[name], golden(name)
    assert kind.model_validate(body | {"added_later": {"a": 1}}) == kind.model_validate(body)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_never_changes_once_it_is_made(name: str):
    assert MESSAGES[name].model_config["frozen"] is True


@pytest.mark.parametrize("kind", message_classes(), ids=lambda kind: kind.__name__)
def test_every_message_makes_its_own_promise(kind: type[Message]):
    assert kind.__doc__ != Message.__doc__
    assert inspect.getdoc(kind)


@pytest.mark.parametrize("item", golden("nodes.finished.v1")["results"], ids=lambda item: item["node_key"])
def test_each_golden_result_is_still_read(item: dict[str, Any]):
    result = NodeResult.model_validate(item)
    assert result.outcome.status == item["outcome"]["status"]


def test_one_unreadable_result_harms_no_other():
    body = golden("nodes.finished.v1")
    body["results"][0] = {"nonsense": True}
    assert len(NodesFinished.model_validate(body).results) == 3


@pytest.mark.parametrize("kind", [PipelineCreate, PipelineApply, PipelineUpdate], ids=lambda kind: kind.name)
def test_the_golden_document_is_still_read(kind: type[Message]):
    document = PipelineDocument.model_validate(golden(f"{kind.name}.v{kind.version}")["document"])
    assert [node.key for node in document.nodes] == ["fetch", "summary", "apology"]
