"""Completion webhooks: how they are made, read and sent again. What is sent is told in docs/webhooks.md."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.contracts.message import Message, Time
from shared.contracts.states import DeliveryStatus


def check_url(url: str) -> str:
    """Raises ValueError unless it is one to send to; whether its address may be reached, the worker's guard says."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError("must hold no spaces and nothing but ASCII. Escape the rest.")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("must begin with http:// or https:// and a host.")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must hold no credentials: the signature says who sends.")
    if parts.fragment:
        raise ValueError("must have no fragment (#...), since none is ever sent.")
    return url


WebhookUrl = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(check_url)]


class WebhookCreate(Message):
    """Tell this URL of the end of every run of a pipeline, or of one run. The answer is `MadeWebhook`.

    Of a run that has ended already it is told at once.
    """

    name: ClassVar[str] = "webhooks.create"

    pipeline_id: UUID | None = None
    run_id: UUID | None = None
    url: WebhookUrl

    @model_validator(mode="after")
    def _has_one(self) -> WebhookCreate:
        if (self.pipeline_id is None) == (self.run_id is None):
            raise ValueError("name either pipeline_id or run_id")
        return self


class WebhookGet(Message):
    """Read a webhook. The answer is `Webhook`."""

    name: ClassVar[str] = "webhooks.get"

    webhook_id: UUID


class WebhooksList(Message):
    """Webhooks, newest first; `after` is the id that the last page ended with."""

    name: ClassVar[str] = "webhooks.list"

    pipeline_id: UUID | None = None
    run_id: UUID | None = None
    limit: int = Field(default=50, ge=1, le=200)
    after: UUID | None = None
    #: A minus stands for descending.
    sort: Literal["-created_at", "created_at"] = "-created_at"


class WebhookDelete(Message):
    """Remove a webhook and its deliveries: nothing is sent to it any more. The answer is what it was."""

    name: ClassVar[str] = "webhooks.delete"

    webhook_id: UUID


class WebhookDeliveriesList(Message):
    """Deliveries of a webhook, newest first; `after` is the id that the last page ended with."""

    name: ClassVar[str] = "webhook_deliveries.list"

    webhook_id: UUID
    status: DeliveryStatus | None = None
    limit: int = Field(default=50, ge=1, le=200)
    after: UUID | None = None
    #: A minus stands for descending.
    sort: Literal["-created_at", "created_at"] = "-created_at"


class WebhookDeliveryGet(Message):
    """Read a delivery. The answer is `WebhookDelivery`."""

    name: ClassVar[str] = "webhook_deliveries.get"

    delivery_id: UUID


class WebhookDeliveryResend(Message):
    """Send it now, under the same id and with all its attempts anew. The answer is `WebhookDelivery`."""

    name: ClassVar[str] = "webhook_deliveries.resend"

    delivery_id: UUID


class Webhook(BaseModel):
    """Who is told of ends; the secret is told once, when it is made."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    #: One of the two is set.
    pipeline_id: UUID | None = None
    run_id: UUID | None = None
    url: str
    created_at: Time
    #: Set when the other side answered 410: further ends are not told.
    disabled_at: Time | None = None


class MadeWebhook(Webhook):
    """A webhook with its secret, `whsec_` and base64, for the form of the libraries of standardwebhooks.com."""

    secret: str


class WebhookDelivery(BaseModel):
    """One end that is told to one webhook."""

    model_config = ConfigDict(frozen=True)

    #: The header `webhook-id` of every attempt.
    id: UUID
    webhook_id: UUID
    run_id: UUID
    status: DeliveryStatus
    #: Attempts begun so far.
    attempt_count: int
    #: None while an attempt goes on, and at the end.
    next_attempt_at: Time | None = None
    #: The HTTP status of the last answer, if there was one.
    last_status: int | None = None
    #: Why the last attempt did not deliver it.
    last_error: str | None = None
    created_at: Time
    finished_at: Time | None = None


class WebhookPage(BaseModel):
    """One page of webhooks; `next_after` is null on the last."""

    webhooks: list[Webhook]
    next_after: UUID | None = None


class WebhookDeliveryPage(BaseModel):
    """One page of deliveries; `next_after` is null on the last."""

    webhook_deliveries: list[WebhookDelivery]
    next_after: UUID | None = None
