"""Sends one delivery; whatever the other side says beyond its status is thrown away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from services.executors.http_request.config import HttpRequestConfig
from services.executors.http_request.execute import build_request
from services.executors.kit.errors import NodeError, PermanentNodeError, TransientNodeError
from services.executors.kit.node_type import NodeContext
from services.executors.kit.outbound import OutboundClient, retry_after_s, shown_url
from services.executors.webhook.config import WebhookConfig

#: For the whole exchange.
TIMEOUT_S = 15.0
#: Receivers refuse what was signed more than 5 minutes ago, as Standard Webhooks tells them to.
STALE_S = 240
#: The most of an answer that is read, as it comes, so that its connection can be used again.
READ_LIMIT = 64 * 1024
GONE = 410


class SendWebhook:
    """Executes the work of the type `webhook` over one client, which follows no redirects."""

    def __init__(self, client: OutboundClient, now: Callable[[], float]) -> None:
        self._client = client
        self._now = now

    async def execute(self, config: WebhookConfig, context: NodeContext) -> dict[str, Any]:
        self._check_age(config)
        request = _request(self._client, config)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                response, _ = await self._client.exchange(request, _read_some)
        except TimeoutError as error:
            message = f"{shown_url(request.url)} did not answer within {TIMEOUT_S:g} s."
            raise TransientNodeError("timed_out", message) from error
        context.metadata["http_status"] = response.status_code
        _raise_for_status(response)
        return {"status": response.status_code}

    def _check_age(self, config: WebhookConfig) -> None:
        age_s = self._now() - int(config.timestamp)
        if age_s > STALE_S:
            raise TransientNodeError(
                "stale",
                f"It was signed {age_s:.0f} s before a worker had time for it, and receivers would refuse it. "
                "It is signed anew and sent again.",
            )


async def _read_some(response: httpx.Response) -> None:
    """Raw: nothing is unpacked only to be thrown away."""
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > READ_LIMIT:
            break


def _request(client: OutboundClient, config: WebhookConfig) -> httpx.Request:
    headers = {
        "content-type": "application/json",
        "webhook-id": config.id,
        "webhook-timestamp": config.timestamp,
        "webhook-signature": config.signature,
    }
    wanted = HttpRequestConfig(method="POST", url=config.url, headers=headers, body=config.body, timeout_s=TIMEOUT_S)
    return build_request(client, wanted)


def _raise_for_status(response: httpx.Response) -> None:
    """Only 2xx is a receipt; a redirect is none."""
    status, where = response.status_code, shown_url(response.request.url)
    if 200 <= status < 300:
        return
    error: NodeError = TransientNodeError("http_status", f"{where} answered {status}.", retry_after_s(response))
    if status == GONE:
        error = PermanentNodeError("gone", f"{where} answered 410: it wants no more of this webhook.")
    elif 300 <= status < 400:
        error = TransientNodeError("http_status", f"{where} answered {status}; redirects are not followed.")
    raise error
