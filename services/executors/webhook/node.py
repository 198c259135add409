"""The internal type `webhook`: delivers the ends of runs; no pipeline can use it."""

from __future__ import annotations

import time

from services.executors.kit.addresses import read_allowed
from services.executors.kit.node_type import NodeType
from services.executors.kit.outbound import OutboundClient
from services.executors.settings import ExecutorSettings
from services.executors.webhook.config import WebhookConfig
from services.executors.webhook.execute import SendWebhook


def make(settings: ExecutorSettings) -> NodeType:
    client = OutboundClient(read_allowed(settings.allow_addresses))
    return NodeType(
        name="webhook",
        title="Webhook",
        description="Tells others of the end of a run.",
        config_model=WebhookConfig,
        execute=SendWebhook(client, time.time).execute,
        slots=64,
        close=client.aclose,
    )
