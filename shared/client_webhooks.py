"""The client's methods of completion webhooks and their deliveries: one a subject."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from shared.client_calls import Calls
from shared.contracts import subjects
from shared.contracts.states import DeliveryStatus
from shared.contracts.webhooks import (
    MadeWebhook,
    Webhook,
    WebhookCreate,
    WebhookDelete,
    WebhookDeliveriesList,
    WebhookDelivery,
    WebhookDeliveryGet,
    WebhookDeliveryPage,
    WebhookDeliveryResend,
    WebhookGet,
    WebhookPage,
    WebhooksList,
)


class WebhookCalls(Calls):
    """What is sent is told in docs/webhooks.md."""

    async def create_webhook(
        self, url: str, *, pipeline_id: UUID | None = None, run_id: UUID | None = None
    ) -> MadeWebhook:
        """Tell this URL of the end of every run of a pipeline, or of one run. This answer alone shows the secret."""
        request = WebhookCreate(url=url, pipeline_id=pipeline_id, run_id=run_id)
        return await self._call(subjects.WEBHOOKS_CREATE, request, MadeWebhook)

    async def get_webhook(self, webhook_id: UUID) -> Webhook:
        return await self._call(subjects.WEBHOOKS_GET, WebhookGet(webhook_id=webhook_id), Webhook)

    async def list_webhooks(
        self,
        *,
        pipeline_id: UUID | None = None,
        run_id: UUID | None = None,
        sort: Literal["-created_at", "created_at"] = "-created_at",
        limit: int = 50,
        after: UUID | None = None,
    ) -> WebhookPage:
        request = WebhooksList(pipeline_id=pipeline_id, run_id=run_id, sort=sort, limit=limit, after=after)
        return await self._call(subjects.WEBHOOKS_LIST, request, WebhookPage)

    async def delete_webhook(self, webhook_id: UUID) -> None:
        """With its deliveries."""
        await self._delete(subjects.WEBHOOKS_DELETE, WebhookDelete(webhook_id=webhook_id))

    async def list_deliveries(
        self,
        webhook_id: UUID,
        *,
        status: DeliveryStatus | None = None,
        sort: Literal["-created_at", "created_at"] = "-created_at",
        limit: int = 50,
        after: UUID | None = None,
    ) -> WebhookDeliveryPage:
        request = WebhookDeliveriesList(webhook_id=webhook_id, status=status, sort=sort, limit=limit, after=after)
        return await self._call(subjects.WEBHOOK_DELIVERIES_LIST, request, WebhookDeliveryPage)

    async def get_delivery(self, delivery_id: UUID) -> WebhookDelivery:
        request = WebhookDeliveryGet(delivery_id=delivery_id)
        return await self._call(subjects.WEBHOOK_DELIVERIES_GET, request, WebhookDelivery)

    async def resend_delivery(self, delivery_id: UUID) -> WebhookDelivery:
        """Send it again now, under the same id and with all its attempts anew."""
        request = WebhookDeliveryResend(delivery_id=delivery_id)
        return await self._call(subjects.WEBHOOK_DELIVERIES_RESEND, request, WebhookDelivery)
