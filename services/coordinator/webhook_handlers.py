"""Answers to requests about webhooks and their deliveries."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from services.coordinator.handlers import RunHandlers
from services.coordinator.signatures import new_secret, shown_secret
from services.coordinator.store import webhooks as store
from services.coordinator.store.acting import lock_run
from services.coordinator.webhooks import Webhooks
from shared.bus.rpc import Endpoint, PlainReply, Rpc
from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.pipelines import VersionsResolve, VersionsResolved
from shared.contracts.webhooks import (
    WebhookCreate,
    WebhookDelete,
    WebhookDeliveriesList,
    WebhookDeliveryGet,
    WebhookDeliveryResend,
    WebhookGet,
    WebhooksList,
)
from shared.errors import ConflictError, NotFoundError, ProblemError
from shared.postgres import Connection

#: Webhooks of one pipeline, or of one run; each costs the transaction that ends a run one row.
MOST_WEBHOOKS = 20


class WebhookHandlers:
    """One method a subject."""

    def __init__(self, runs: RunHandlers, webhooks: Webhooks, rpc: Rpc) -> None:
        self._runs = runs
        self._webhooks = webhooks
        self._rpc = rpc

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            subjects.WEBHOOKS_CREATE: Endpoint(WebhookCreate, self.create),
            subjects.WEBHOOKS_GET: Endpoint(WebhookGet, self.get),
            subjects.WEBHOOKS_LIST: Endpoint(WebhooksList, self.list_webhooks),
            subjects.WEBHOOKS_DELETE: Endpoint(WebhookDelete, self.delete),
            subjects.WEBHOOK_DELIVERIES_LIST: Endpoint(WebhookDeliveriesList, self.list_deliveries),
            subjects.WEBHOOK_DELIVERIES_GET: Endpoint(WebhookDeliveryGet, self.get_delivery),
            subjects.WEBHOOK_DELIVERIES_RESEND: Endpoint(WebhookDeliveryResend, self.resend),
        }

    async def create(self, request: WebhookCreate) -> PlainReply:
        """The only answer that ever holds the secret."""
        secret = new_secret()
        if request.pipeline_id is not None:
            await self._check_pipeline(request.pipeline_id)
        async with self._runs.connection() as connection, connection.transaction():
            has_ended = await self._has_ended(connection, request.run_id)
            if await store.count_webhooks(connection, request) >= MOST_WEBHOOKS:
                what = "pipeline" if request.pipeline_id is not None else "run"
                raise ConflictError(
                    "too_many_webhooks",
                    f"This {what} has {MOST_WEBHOOKS} webhooks, which is the most. Delete one first.",
                )
            made = await store.insert_webhook(connection, new_id(), request, secret)
            if has_ended and request.run_id is not None:
                await store.insert_delivery(connection, made["id"], request.run_id)
        self._webhooks.look_now()
        return PlainReply({**made, "secret": shown_secret(secret)})

    async def _check_pipeline(self, pipeline_id: UUID) -> None:
        """Raises ServiceError when there is none; a draft may have webhooks before it has runs."""
        wanted = VersionsResolve(pipelines=[str(pipeline_id)])
        [found] = (await self._rpc.call(subjects.VERSIONS_RESOLVE, wanted, VersionsResolved)).versions
        if found.error is not None and found.error.status == NotFoundError.status:
            raise ProblemError(found.error)

    async def _has_ended(self, connection: Connection, run_id: UUID | None) -> bool:
        """Holds the run as it is until the webhook is there, so that its end is told exactly once."""
        if run_id is None:
            return False
        status = await lock_run(connection, run_id)
        if status is None:
            raise await self._runs.missing(connection, run_id)
        return status.is_final

    async def get(self, request: WebhookGet) -> PlainReply:
        async with self._runs.connection() as connection:
            return PlainReply(_found(await store.load_webhook(connection, request.webhook_id), request.webhook_id))

    async def list_webhooks(self, request: WebhooksList) -> PlainReply:
        async with self._runs.connection() as connection:
            return _page("webhooks", await store.load_webhooks(connection, request), request.limit)

    async def delete(self, request: WebhookDelete) -> PlainReply:
        async with self._runs.connection() as connection:
            return PlainReply(_found(await store.delete_webhook(connection, request.webhook_id), request.webhook_id))

    async def list_deliveries(self, request: WebhookDeliveriesList) -> PlainReply:
        async with self._runs.connection() as connection:
            _found(await store.load_webhook(connection, request.webhook_id), request.webhook_id)
            return _page("webhook_deliveries", await store.load_deliveries(connection, request), request.limit)

    async def get_delivery(self, request: WebhookDeliveryGet) -> PlainReply:
        async with self._runs.connection() as connection:
            return PlainReply(await _delivery(connection, request.delivery_id))

    async def resend(self, request: WebhookDeliveryResend) -> PlainReply:
        async with self._runs.connection() as connection:
            await store.send_again(connection, request.delivery_id)
            found = await _delivery(connection, request.delivery_id)
        self._webhooks.look_now()
        return PlainReply(found)


async def _delivery(connection: Connection, delivery_id: UUID) -> dict[str, Any]:
    row = await store.load_delivery(connection, delivery_id)
    if row is None:
        raise NotFoundError("delivery_not_found", f"There is no delivery {delivery_id}; a webhook lists its own.")
    return row


def _found(row: dict[str, Any] | None, webhook_id: UUID) -> dict[str, Any]:
    if row is None:
        raise NotFoundError("webhook_not_found", f"There is no webhook {webhook_id}. GET /webhooks lists them.")
    return row


def _page(name: str, rows: list[dict[str, Any]], limit: int) -> PlainReply:
    page = rows[:limit]
    return PlainReply({name: page, "next_after": page[-1]["id"] if len(rows) > limit else None})
