"""Writes the channels down as an AsyncAPI 3.0 document."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from inspect import getdoc
from typing import Any

from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import models_json_schema

from services.cli.channels import CHANNELS, Channel
from shared.contracts import nodes, pipelines, runs, subjects
from shared.contracts.message import Message

SCHEMAS = "#/components/schemas/{model}"

_DOCUMENT: dict[str, Any] = {"document": (pipelines.PipelineDocument, ...)}
#: Fields that a model leaves open, since its reader checks them later, and what is meant to be in them.
_MEANT: dict[type[BaseModel], dict[str, Any]] = {
    nodes.NodesFinished: {"results": (list[nodes.NodeResult], Field(min_length=1, max_length=500))},
    pipelines.PipelineCreate: _DOCUMENT,
    pipelines.PipelineApply: _DOCUMENT,
    pipelines.PipelineUpdate: _DOCUMENT,
}


def documented(model: type[BaseModel]) -> type[BaseModel]:
    """The model with every field as it is meant."""
    if model not in _MEANT:
        return model
    meant: type[BaseModel] = create_model(model.__name__, __base__=model, __doc__=model.__doc__, **_MEANT[model])
    return meant


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for channel in CHANNELS:
        channels[channel.name] = _channel(channel)
        for action, services in (("send", channel.senders), ("receive", channel.receivers)):
            for service in services.split():
                operations[f"{service}_{action}s_{channel.name}"] = _operation(channel, service, action)
        if channel.reply is not None:
            channels[f"{channel.name}_reply"] = _reply_channel(channel.reply)
    models = _models()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Pipewright",
            "version": version("pipewright"),
            "description": "What the services of Pipewright say to each other over NATS. A body over 512 KiB lies in "
            f"the object store `{subjects.TRANSFERS_BUCKET}`; a request or answer with the header "
            "`Pipewright-Transfer` holds a TransferRef to it. Readers ignore fields that they do not know. The "
            f"key-value bucket `{subjects.ENDED_RUNS_BUCKET}` holds run id -> status as plain text: executors drop "
            "the work of these runs.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {model.__name__: _message(model) for model in models},
            "schemas": _schemas(models),
        },
    }


def _models() -> list[type[BaseModel]]:
    """Everything that is sent, each once, by name."""
    sent: set[type[BaseModel]] = {runs.ProblemReply}
    for channel in CHANNELS:
        sent |= {channel.message} | ({channel.reply} if channel.reply is not None else set())
    return sorted(sent, key=lambda model: model.__name__)


def _channel(channel: Channel) -> dict[str, Any]:
    parameters = {
        part[1:-1]: {"enum": channel.values[part[1:-1]]} if part[1:-1] in channel.values else {}
        for part in channel.subject.split(".")
        if part.startswith("{")
    }
    kept = f" Kept in {channel.kept}." if channel.kept else ""
    found = {"address": channel.subject, "description": f"{channel.about}{kept}", "messages": _named(channel.message)}
    return found | ({"parameters": parameters} if parameters else {})


def _reply_channel(reply: type[BaseModel]) -> dict[str, Any]:
    """The inbox that the request names."""
    return {"address": None, "messages": _named(reply) | _named(runs.ProblemReply)}


def _named(model: type[BaseModel]) -> dict[str, Any]:
    return {model.__name__: _ref("components", "messages", model.__name__)}


def _operation(channel: Channel, service: str, action: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "action": action,
        "channel": _ref("channels", channel.name),
        "tags": [{"name": service}],
        "messages": [_ref("channels", channel.name, "messages", channel.message.__name__)],
    }
    if channel.reply is not None:
        name = f"{channel.name}_reply"
        answers = (channel.reply, runs.ProblemReply)
        found["reply"] = {
            "address": {"description": "The reply subject of the request", "location": "$message.header#/reply"},
            "channel": _ref("channels", name),
            "messages": [_ref("channels", name, "messages", model.__name__) for model in answers],
        }
    return found


def _message(model: type[BaseModel]) -> dict[str, Any]:
    return {
        "name": model.name if issubclass(model, Message) else model.__name__,
        "title": model.__name__,
        "summary": " ".join((getdoc(model) or "").split("\n\n")[0].split()),
        "payload": _ref("components", "schemas", model.__name__),
    }


def _ref(*parts: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(parts)}


def _schemas(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    _, found = models_json_schema([(documented(model), "validation") for model in models], ref_template=SCHEMAS)
    schemas: dict[str, Any] = _without_discriminators(found["$defs"])
    return schemas


def _without_discriminators(value: Any) -> Any:
    """AsyncAPI gives the word another meaning; each alternative names its `status` anyway."""
    if isinstance(value, dict):
        return {
            key: _without_discriminators(item)
            for key, item in value.items()
            if key != "discriminator" or not isinstance(item, dict) or "propertyName" not in item
        }
    return [_without_discriminators(item) for item in value] if isinstance(value, list) else value
