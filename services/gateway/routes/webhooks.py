"""Routes of completion webhooks: made on a pipeline or a run, listed, removed; their deliveries, sent again."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.gateway.access import needs
from services.gateway.bodies import read_model
from services.gateway.openapi.answers import answers, body_of
from services.gateway.routes.paging import AfterId, Limit, SortByTime
from services.gateway.wiring import Wired, Wiring, answer, location
from shared.contracts import subjects
from shared.contracts.api_keys import Scope
from shared.contracts.message import Document
from shared.contracts.pipelines import Pipeline, PipelineGet
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
    WebhookUrl,
)

router = APIRouter(tags=["webhooks"])

READ = [needs(Scope.RUNS_READ)]


class NewWebhook(Document):
    """Whom to tell."""

    #: http or https, without credentials; its address must be one that the http worker may reach.
    url: WebhookUrl


NEW_WEBHOOK = body_of(NewWebhook, example=NewWebhook(url="https://example.org/ends"))


@router.post(
    "/pipelines/{pipeline}/webhooks",
    dependencies=[needs(Scope.PIPELINES_WRITE)],
    status_code=201,
    responses=answers(MadeWebhook, 201, refuses=["too_many_webhooks"]),
    openapi_extra=NEW_WEBHOOK,
)
async def create_pipeline_webhook(pipeline: str, request: Request, wired: Wired) -> Response:
    """Tell this URL of the end of every run of the pipeline. The answer alone shows the secret."""
    body = await read_model(request, NewWebhook)
    found = await wired.rpc.call(subjects.PIPELINES_GET, PipelineGet(pipeline=pipeline), Pipeline)
    return await _make(wired, WebhookCreate(pipeline_id=found.id, url=body.url))


@router.post(
    "/pipeline_runs/{run_id}/webhooks",
    dependencies=[needs(Scope.RUNS_START)],
    status_code=201,
    responses=answers(MadeWebhook, 201, refuses=["too_many_webhooks"]),
    openapi_extra=NEW_WEBHOOK,
)
async def create_run_webhook(run_id: UUID, request: Request, wired: Wired) -> Response:
    """Tell this URL of the end of one run; at once, if it has ended already. The answer alone shows the secret."""
    body = await read_model(request, NewWebhook)
    return await _make(wired, WebhookCreate(run_id=run_id, url=body.url))


async def _make(wired: Wiring, wanted: WebhookCreate) -> Response:
    made = await wired.rpc.call_raw(subjects.WEBHOOKS_CREATE, wanted)
    return answer(made, 201, location("webhooks", made["id"]) | {"cache-control": "no-store"})


@router.get("/webhooks", dependencies=READ, responses=answers(WebhookPage))
async def list_webhooks(
    wired: Wired,
    limit: Limit = 50,
    after: AfterId = None,
    sort: SortByTime = "-created_at",
    pipeline_id: UUID | None = None,
    run_id: UUID | None = None,
) -> Response:
    """Webhooks, newest first, without their secrets."""
    wanted = WebhooksList(limit=limit, after=after, sort=sort, pipeline_id=pipeline_id, run_id=run_id)
    return answer(await wired.rpc.call_raw(subjects.WEBHOOKS_LIST, wanted))


@router.get("/webhooks/{webhook_id}", dependencies=READ, responses=answers(Webhook))
async def get_webhook(webhook_id: UUID, wired: Wired) -> Response:
    """A webhook, without its secret."""
    return answer(await wired.rpc.call_raw(subjects.WEBHOOKS_GET, WebhookGet(webhook_id=webhook_id)))


@router.delete(
    "/webhooks/{webhook_id}",
    dependencies=[needs(Scope.PIPELINES_WRITE)],
    status_code=204,
    response_model=None,
    responses=answers(None, 204),
)
async def delete_webhook(webhook_id: UUID, wired: Wired) -> Response:
    """Remove a webhook with its deliveries; what is on its way to a worker may still arrive."""
    await wired.rpc.call_raw(subjects.WEBHOOKS_DELETE, WebhookDelete(webhook_id=webhook_id))
    return Response(status_code=204)


@router.get("/webhooks/{webhook_id}/deliveries", dependencies=READ, responses=answers(WebhookDeliveryPage))
async def list_deliveries(
    webhook_id: UUID,
    wired: Wired,
    limit: Limit = 50,
    after: AfterId = None,
    sort: SortByTime = "-created_at",
    status: DeliveryStatus | None = None,
) -> Response:
    """Deliveries of a webhook, newest first: which run, how often it was tried, and what the other side said."""
    wanted = WebhookDeliveriesList(webhook_id=webhook_id, limit=limit, after=after, sort=sort, status=status)
    return answer(await wired.rpc.call_raw(subjects.WEBHOOK_DELIVERIES_LIST, wanted))


@router.get("/webhook_deliveries/{delivery_id}", dependencies=READ, responses=answers(WebhookDelivery))
async def get_delivery(delivery_id: UUID, wired: Wired) -> Response:
    """A delivery; its id is the header `webhook-id` of every attempt."""
    wanted = WebhookDeliveryGet(delivery_id=delivery_id)
    return answer(await wired.rpc.call_raw(subjects.WEBHOOK_DELIVERIES_GET, wanted))


@router.post(
    "/webhook_deliveries/{delivery_id}/resend",
    dependencies=[needs(Scope.RUNS_START)],
    status_code=202,
    responses=answers(WebhookDelivery, 202),
)
async def resend_delivery(delivery_id: UUID, wired: Wired) -> Response:
    """Send it again now, under the same id, whatever became of it; all its attempts are to be had anew."""
    wanted = WebhookDeliveryResend(delivery_id=delivery_id)
    return answer(await wired.rpc.call_raw(subjects.WEBHOOK_DELIVERIES_RESEND, wanted), 202)
