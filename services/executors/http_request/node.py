"""The node type `http_request`."""

from __future__ import annotations

from services.executors.http_request.config import HttpRequestConfig
from services.executors.http_request.execute import HttpRequest
from services.executors.kit.addresses import read_allowed
from services.executors.kit.examples import read_examples
from services.executors.kit.node_type import NodeType
from services.executors.kit.outbound import OutboundClient
from services.executors.settings import ExecutorSettings


def make(settings: ExecutorSettings) -> NodeType:
    client = OutboundClient(read_allowed(settings.allow_addresses))
    return NodeType(
        name="http_request",
        title="HTTP request",
        description="Calls an HTTP API; the answer is parsed when it is JSON.",
        config_model=HttpRequestConfig,
        execute=HttpRequest(client).execute,
        slots=256,
        output_schema={
            "type": "object",
            "properties": {"status": {"type": "integer"}, "headers": {"type": "object"}, "body": {}},
            "required": ["status", "headers", "body"],
        },
        examples=read_examples("http_request"),
        close=client.aclose,
    )
