"""An engine, the http worker, a receiver on loopback, and what a test does with webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from examples.verify_webhook import is_genuine
from services.executors.app import working
from services.executors.registry import make_node_types, with_internal
from services.executors.settings import ExecutorSettings
from shared.bus.connection import Bus
from shared.bus.rpc import Rpc
from shared.bus.transfers import Transfers
from shared.contracts import subjects
from shared.contracts.message import Message
from shared.contracts.webhooks import (
    MadeWebhook,
    WebhookCreate,
    WebhookDeliveriesList,
    WebhookDelivery,
    WebhookDeliveryPage,
    WebhookDeliveryResend,
)
from tests.eventually import eventually
from tests.http_server import Request, Server, serving
from tests.integration.engine import Engine


@dataclass
class WebhookWorld:
    engine: Engine
    receiver: Server
    rpc: Rpc

    @classmethod
    @asynccontextmanager
    async def started(cls, nats_url: str, database_url: str) -> AsyncIterator[WebhookWorld]:
        async with AsyncExitStack() as stack:
            receiver = await stack.enter_async_context(serving())
            engine = await stack.enter_async_context(Engine.started(nats_url, database_url))
            rpc = Rpc(engine.client.nats, Transfers(engine.jetstream))
            yield cls(engine, receiver, rpc)

    @asynccontextmanager
    async def worker(self, allowed: bool = True) -> AsyncIterator[None]:
        """The http worker; without `allowed` the receiver's address is one that it may not reach."""
        addresses = (f"127.0.0.1:{self.receiver.port}",) if allowed else ()
        settings = ExecutorSettings(worker_name="http-1", allow_addresses=addresses)
        bus = Bus(self.engine.nats_url, "worker")
        await bus.connect()
        try:
            async with working(bus, settings, make_node_types(with_internal(["http_request"]), settings)):
                yield
        finally:
            await bus.close()

    async def pipeline_id(self, slug: str) -> UUID:
        return (await self.engine.client.get_pipeline(slug)).id

    async def hook_pipeline(self, slug: str, path: str = "/ends") -> MadeWebhook:
        return await self.hook(pipeline_id=await self.pipeline_id(slug), path=path)

    async def hook(self, path: str = "/ends", **whose: Any) -> MadeWebhook:
        wanted = WebhookCreate(url=self.receiver.url + path, **whose)
        return await self.rpc.call(subjects.WEBHOOKS_CREATE, wanted, MadeWebhook)

    async def ask(self, subject: str, request: Message) -> Any:
        return await self.rpc.call_raw(subject, request)

    async def deliveries(self, webhook: MadeWebhook) -> list[WebhookDelivery]:
        wanted = WebhookDeliveriesList(webhook_id=webhook.id)
        return (await self.rpc.call(subjects.WEBHOOK_DELIVERIES_LIST, wanted, WebhookDeliveryPage)).webhook_deliveries

    async def resend(self, delivery: WebhookDelivery) -> None:
        wanted = WebhookDeliveryResend(delivery_id=delivery.id)
        await self.rpc.call_raw(subjects.WEBHOOK_DELIVERIES_RESEND, wanted)

    async def delivery(self, webhook: MadeWebhook, status: str, attempts: int = 0) -> WebhookDelivery:
        """The only delivery of the webhook, once it is in this state, after so many attempts."""

        async def look() -> WebhookDelivery | None:
            found = await self.deliveries(webhook)
            assert len(found) <= 1
            is_there = found and found[0].status == status and found[0].attempt_count >= attempts
            return found[0] if is_there and (status != "pending" or found[0].next_attempt_at) else None

        return await eventually(look, f"a delivery that is {status}")

    async def arrivals(self, count: int = 1) -> list[Request]:
        await eventually(lambda: len(self.receiver.requests) >= count, f"{count} requests")
        return list(self.receiver.requests)

    async def is_due_now(self) -> None:
        """As if the time of every next attempt had come."""
        await self.engine.query(
            "UPDATE runs.webhook_deliveries SET next_attempt_at = now() WHERE status = 'pending' AND sent_at IS NULL"
        )

    async def run_to_end(self, slug: str, output: dict[str, Any] | None = None) -> UUID:
        """A run of a pipeline with one step, completed."""
        run_id = await self.engine.start(slug)
        await self.engine.worker.complete(await self.engine.worker.take_one(), output=output)
        await self.engine.ends(run_id)
        return run_id


def check_signed(request: Request, webhook: MadeWebhook) -> dict[str, Any]:
    """The body, after its signature was verified as a receiver does."""
    assert is_genuine(webhook.secret, request.headers, request.body)
    assert request.headers["content-type"] == "application/json"
    body: dict[str, Any] = orjson.loads(request.body)
    return body
