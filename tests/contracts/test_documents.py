"""What is written down of the contracts is what the code says, and holds together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from jsonschema import Draft202012Validator

from services.cli.asyncapi import documented
from services.cli.channels import CHANNELS
from services.cli.contracts import documents, message_classes
from services.coordinator.handlers import RunHandlers
from services.coordinator.webhook_handlers import WebhookHandlers
from services.definition.graph_handlers import GraphHandlers
from services.definition.handlers import PipelineHandlers
from services.definition.patching import PatchHandlers
from services.definition.version_handlers import VersionHandlers
from shared.contracts import subjects

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WRITTEN = documents()
ASYNCAPI = orjson.loads(WRITTEN["asyncapi.json"])
MESSAGES = {f"{kind.name}.v{kind.version}": kind for kind in message_classes()}
WRITE_ANEW = "write it anew with: python -m services.cli.contracts docs"


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_committed_is_what_the_code_says(name: str):
    path = DOCS / name
    assert path.exists(), WRITE_ANEW
    is_same = path.read_text(encoding="utf-8") == WRITTEN[name]
    assert is_same, f"docs/{name} differs from the code; {WRITE_ANEW}"


def test_no_schema_is_left_of_a_message_that_is_gone():
    schemas = {name for name in WRITTEN if name.startswith("schemas/")}
    assert {f"schemas/{path.name}" for path in (DOCS / "schemas").iterdir()} == schemas


@pytest.mark.parametrize("name", MESSAGES)
def test_a_golden_message_fits_its_schema(name: str):
    golden = orjson.loads((Path(__file__).parent / "golden" / f"{name}.json").read_bytes())
    schema = documented(MESSAGES[name]).model_json_schema()
    assert [error.message for error in Draft202012Validator(schema).iter_errors(golden)] == []


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def leads_to(reference: str) -> Any:
    found: Any = ASYNCAPI
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def test_every_reference_of_the_asyncapi_document_leads_somewhere():
    assert {reference for reference in references(ASYNCAPI) if leads_to(reference) is None} == set()


def test_the_asyncapi_document_has_the_shape_of_version_3():
    assert ApplicationSchema.model_validate(ASYNCAPI).asyncapi == "3.0.0"
    assert {"asyncapi", "info", "channels", "operations", "components"} <= ASYNCAPI.keys()


@pytest.mark.parametrize("name", ASYNCAPI["operations"])
def test_an_operation_names_messages_of_its_own_channel(name: str):
    operation = ASYNCAPI["operations"][name]
    assert operation["action"] in ("send", "receive")
    for part in (operation, operation.get("reply", operation)):
        place = part["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{place}/messages/") for message in part["messages"])


@pytest.mark.parametrize("name", ASYNCAPI["channels"])
def test_a_channel_explains_every_part_of_its_address(name: str):
    channel = ASYNCAPI["channels"][name]
    parts = {part[1:-1] for part in (channel["address"] or "").split(".") if part.startswith("{")}
    assert parts == channel.get("parameters", {}).keys()


@pytest.mark.parametrize("name", ASYNCAPI["components"]["messages"])
def test_every_message_says_what_it_is_for(name: str):
    assert ASYNCAPI["components"]["messages"][name]["summary"]


def all_subjects() -> set[str]:
    """Every subject that `subjects.py` spells; the parts that differ are stars."""
    fixed = {value for value in vars(subjects).values() if isinstance(value, str) and value.startswith("pipewright.")}
    made = (subjects.node_ready, subjects.node_result, subjects.node_running, subjects.node_tokens)
    return fixed | {make("X").replace("X", "*") for make in (*made, subjects.run_event, subjects.dead_letter)}


def test_every_subject_is_written_down():
    told = {
        ".".join("*" if part.startswith("{") else part for part in channel.subject.split("."))
        for channel in CHANNELS
        if not channel.subject.startswith("$KV.")
    }
    assert told == all_subjects()


def test_every_message_is_sent_somewhere():
    sent = {channel.message for channel in CHANNELS} | {channel.reply for channel in CHANNELS}
    assert [kind.__name__ for kind in message_classes() if kind not in sent] == []


@pytest.mark.parametrize(
    ("service", "handlers"),
    [
        ("coordinator", (RunHandlers, WebhookHandlers)),
        ("definition", (PipelineHandlers, GraphHandlers, PatchHandlers, VersionHandlers)),
    ],
    ids=["coordinator", "definition"],
)
def test_a_service_answers_what_is_written_down_of_it(service: str, handlers: tuple[Any, ...]):
    """Only the tables of endpoints are asked for, so nothing stands behind the handlers."""
    endpoints = {key: value for kind in handlers for key, value in object.__new__(kind).endpoints().items()}
    written = {found.subject: found.message for found in CHANNELS if found.reply and found.receivers == service}
    assert {subject: endpoint.request for subject, endpoint in endpoints.items()} == written
