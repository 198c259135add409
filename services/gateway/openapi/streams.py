"""Server-sent events in the OpenAPI document: the text of a stream, and the schema of what it holds."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from services.gateway.openapi.answers import Answers
from services.gateway.openapi.examples import RUN, STARTED, as_sent
from services.gateway.sse import message
from shared.contracts.nodes import NodeTokens
from shared.contracts.runs import NodeChange, Run, RunEvent
from shared.contracts.states import NodeStatus, RunStatus

MEDIA_TYPE = "text/event-stream"
#: Models of what events hold; document.py defines them.
MODELS: tuple[type[BaseModel], ...] = (Run, RunEvent, NodeTokens)

_CHANGE = RunEvent(
    run_id=RUN.id,
    pipeline_id=RUN.pipeline_id,
    seq=2,
    status=RunStatus.RUNNING,
    changes=[NodeChange(node_key="fetch", status=NodeStatus.FAILED, attempt=2)],
    node_count=2,
    finished_count=1,
)
_TOKEN = NodeTokens(run_id=str(RUN.id), node_key="answer", attempt=1, index=0, text="Hello")

_RUN_KINDS: dict[str, type[BaseModel]] = {"snapshot": Run, "change": RunEvent, "token": NodeTokens, "end": Run}
_PIPELINE_KINDS: dict[str, type[BaseModel]] = dict.fromkeys(
    ("started", "progressed", "completed", "failed", "cancelled"), RunEvent
)


def run_stream() -> Answers:
    example = (
        message("snapshot", as_sent(STARTED), 1)
        + message("change", as_sent(_CHANGE), 2)
        + message("token", as_sent(_TOKEN))
        + message("end", as_sent(RUN), 4)
    )
    return _stream("The run as it goes on, until it has ended", _RUN_KINDS, example)


def pipeline_stream() -> Answers:
    return _stream("Events as they come, without an end", _PIPELINE_KINDS, message("progressed", as_sent(_CHANGE), 71))


def _stream(about: str, kinds: dict[str, type[BaseModel]], example: bytes) -> Answers:
    schema = {
        "type": "string",
        "description": "Lines of events; what begins with a colon keeps the connection and says nothing.",
        "contentMediaType": MEDIA_TYPE,
        "contentSchema": {"type": "array", "items": {"oneOf": [_event(kind, model) for kind, model in kinds.items()]}},
    }
    return {200: {"description": about, "content": {MEDIA_TYPE: {"schema": schema, "example": example.decode()}}}}


def _event(kind: str, model: type[BaseModel]) -> dict[str, Any]:
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": f"#/components/schemas/{model.__name__}-Event"},
    }
    return {
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "event": {"const": kind},
            "id": {"type": "string", "description": "To be sent as Last-Event-ID"},
            "data": data,
        },
    }
