"""Completion webhooks on real NATS and Postgres: signed, exactly one an end, tried again, sent again."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from uuid import UUID

import orjson
import pytest

from examples.verify_webhook import is_genuine
from shared.clock import new_id
from shared.contracts import subjects
from shared.contracts.runs import RunCancel
from shared.contracts.states import RunStatus
from shared.contracts.webhooks import (
    WebhookCreate,
    WebhookDelete,
    WebhookDeliveriesList,
    WebhookDeliveryGet,
    WebhookGet,
    WebhooksList,
)
from shared.errors import ServiceError
from tests.eventually import eventually
from tests.http_server import text
from tests.integration.hand_worker import completed
from tests.integration.webhook_world import WebhookWorld, check_signed


@pytest.fixture
async def world(nats_url: str, database_url: str) -> AsyncIterator[WebhookWorld]:
    async with WebhookWorld.started(nats_url, database_url) as started:
        await started.engine.apply("steps", "a")
        yield started


# What is sent


async def test_every_run_of_a_pipeline_is_told_with_a_signature_that_verifies(world: WebhookWorld) -> None:
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
        run_ids = [str(await world.run_to_end("steps")) for _ in range(2)]
        requests = await world.arrivals(2)

    bodies = [check_signed(request, webhook) for request in requests]
    assert [body["data"]["id"] for body in bodies] == run_ids
    assert [body["type"] for body in bodies] == ["pipeline_run.completed"] * 2
    assert bodies[0]["data"]["output"] == {"a": {"said": "a"}}
    assert bodies[0]["data"]["pipeline_slug"] == "steps"
    assert bodies[0]["timestamp"] == bodies[0]["data"]["finished_at"]
    assert requests[0].target == "/ends"
    assert requests[0].method == "POST"
    assert not is_genuine(webhook.secret, requests[0].headers, requests[0].body + b" ")


async def test_one_run_is_told_and_no_other(world: WebhookWorld) -> None:
    async with world.worker():
        run_id = await world.engine.start("steps")
        webhook = await world.hook(run_id=run_id)
        await world.engine.worker.complete(await world.engine.worker.take_one())
        await world.delivery(webhook, "delivered")
        await world.run_to_end("steps")

    [request] = world.receiver.requests
    assert check_signed(request, webhook)["data"]["id"] == str(run_id)


async def test_failed_and_cancelled_runs_are_told_too(world: WebhookWorld) -> None:
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
        failing = await world.engine.start("steps")
        await world.engine.worker.fail(await world.engine.worker.take_one())
        await world.arrivals(1)
        cancelled = await world.engine.start("steps")
        await world.ask(subjects.RUNS_CANCEL, RunCancel(run_id=cancelled))
        requests = await world.arrivals(2)

    failure, cancellation = (check_signed(request, webhook) for request in requests)
    assert (failure["type"], failure["data"]["id"]) == ("pipeline_run.failed", str(failing))
    assert failure["data"]["error"]["message"] == "It broke."
    assert (cancellation["type"], cancellation["data"]["id"]) == ("pipeline_run.cancelled", str(cancelled))


async def test_a_request_that_could_not_start_is_told_as_a_failed_run(world: WebhookWorld) -> None:
    schema = {"type": "object", "required": ["word"]}
    nodes = [{"key": "a", "type": "step", "config": {"say": "a"}}]
    await world.engine.client.apply({"name": "strict", "slug": "strict", "input_schema": schema, "nodes": nodes})
    async with world.worker():
        webhook = await world.hook_pipeline("strict")
        body = orjson.dumps({"pipeline": "strict", "input": {}, "run_id": str(new_id())})
        await world.engine.jetstream.publish(subjects.RUN_REQUEST, body)
        [request] = await world.arrivals(1)

    assert check_signed(request, webhook)["data"]["status"] == "failed"


async def test_a_run_that_has_ended_already_is_told_at_once(world: WebhookWorld) -> None:
    run_id = await world.run_to_end("steps")
    async with world.worker():
        webhook = await world.hook(run_id=run_id)
        [request] = await world.arrivals(1)

    assert check_signed(request, webhook)["data"]["id"] == str(run_id)


@pytest.mark.parametrize("size", [140_000, 400_000])
async def test_a_large_output_is_left_out_and_its_place_told(world: WebhookWorld, size: int) -> None:
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
        run_id = await world.run_to_end("steps", {"said": "x" * size})
        [request] = await world.arrivals(1)

    data = check_signed(request, webhook)["data"]
    assert data["output"] is None
    assert data["output_omitted"] is True
    assert data["path"] == f"/api/v3/pipeline_runs/{run_id}"


async def test_what_looks_like_a_template_is_sent_as_it_is(world: WebhookWorld) -> None:
    said = "{{ input.url }} {% for x in [1] %} é \u2028"
    async with world.worker():
        webhook = await world.hook_pipeline("steps", "/{{input.body}}")
        await world.run_to_end("steps", {"said": said})
        [request] = await world.arrivals(1)

    assert check_signed(request, webhook)["data"]["output"] == {"a": {"said": said}}
    assert "%7B%7Binput.body%7D%7D" in request.target


# Exactly one


async def test_an_end_is_told_once_by_two_coordinators_and_after_repeated_results(world: WebhookWorld) -> None:
    webhook = await world.hook_pipeline("steps")
    async with world.engine.coordinator(), world.worker():
        for _ in range(10):
            run_id = await world.engine.start("steps")
            ready = await world.engine.worker.take_one()
            await world.engine.worker.say(completed(ready), completed(ready))
            await world.engine.worker.say(completed(ready))
            await world.engine.worker.acknowledge(ready)
            await world.engine.ends(run_id)

        async def all_delivered() -> bool:
            found = await world.deliveries(webhook)
            return len(found) == 10 and all(delivery.status == "delivered" for delivery in found)

        await eventually(all_delivered, "ten deliveries")
        await world.engine.settled()

    assert len(world.receiver.requests) == 10
    assert len({request.headers["webhook-id"] for request in world.receiver.requests}) == 10
    assert all(delivery.attempt_count == 1 for delivery in await world.deliveries(webhook))


async def test_a_result_of_an_attempt_that_is_over_changes_nothing(world: WebhookWorld) -> None:
    world.receiver.answers = [text(status=500)]
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
        await world.run_to_end("steps")
        first = await world.delivery(webhook, "pending", attempts=1)
    late = await last_work(world, first.id)
    await world.engine.worker.say(completed(late, {}), node_type="webhook")
    await world.engine.settled()

    assert await world.delivery(webhook, "pending") == first


async def last_work(world: WebhookWorld, delivery_id: UUID) -> dict[str, object]:
    """The work of the first attempt as a worker had it, with the right token."""
    from services.coordinator.tokens import Tokens
    from tests.integration.engine import SECRET

    token = Tokens(SECRET).make(str(delivery_id), "webhook", 1)
    return {"run_id": str(delivery_id), "node_key": "webhook", "attempt": 1, "token": token}


async def test_a_coordinator_that_dies_before_it_delivers_loses_none(
    nats_url: str, database_url: str, world: WebhookWorld
) -> None:
    """An attempt that was begun and never sent is found by another coordinator, whoever began it."""
    webhook = await world.hook_pipeline("steps")
    # What the trigger made, as a coordinator leaves it that took it and was killed before it published.
    await world.engine.query(
        "ALTER TABLE runs.webhook_deliveries ALTER attempt SET DEFAULT 1, ALTER sent_at SET DEFAULT clock_timestamp()"
    )
    await world.run_to_end("steps")
    # The coordinator may have found it already.
    await world.engine.query("UPDATE runs.webhook_deliveries SET next_attempt_at = now() WHERE sent_at IS NOT NULL")
    async with world.worker():
        await world.delivery(webhook, "pending", attempts=1)
        await world.is_due_now()
        delivery = await world.delivery(webhook, "delivered")

    assert delivery.attempt_count == 2
    assert len(world.receiver.requests) == 1


async def test_what_waits_for_a_worker_is_not_sent_again(world: WebhookWorld) -> None:
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
    await world.run_to_end("steps")

    async def is_out() -> bool:
        found = await world.deliveries(webhook)
        return bool(found) and found[0].attempt_count == 1

    await eventually(is_out, "the first attempt")
    for _ in range(3):
        # As if its lease were over; the sweep finds its message in the stream, and waits on.
        await world.engine.query("UPDATE runs.webhook_deliveries SET next_attempt_at = now()")
        await eventually(lambda: is_looked_for_later(world), "a longer lease")
    async with world.worker():
        delivery = await world.delivery(webhook, "delivered")

    assert delivery.attempt_count == 1
    assert len(world.receiver.requests) == 1


async def is_looked_for_later(world: WebhookWorld) -> bool:
    return bool(await world.engine.query("SELECT id FROM runs.webhook_deliveries WHERE next_attempt_at > now()"))


# Tried again, given up, sent again


async def test_a_refused_delivery_is_tried_again_under_the_same_id(world: WebhookWorld) -> None:
    world.receiver.answers = [text("a secret of the other side", status=500), text()]
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
        await world.run_to_end("steps")
        waiting = await world.delivery(webhook, "pending", attempts=1)
        await world.is_due_now()
        delivered = await world.delivery(webhook, "delivered")

    first, second = world.receiver.requests
    assert waiting.last_status == 500
    assert waiting.last_error == f"{world.receiver.url}/ends answered 500."
    assert waiting.next_attempt_at is not None
    assert 4 < (waiting.next_attempt_at - waiting.created_at).total_seconds() < 20
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(delivered.id)
    assert first.body == second.body
    check_signed(second, webhook)
    assert (delivered.attempt_count, delivered.last_status, delivered.last_error) == (2, 200, None)


async def test_after_the_last_attempt_it_has_failed_until_somebody_sends_it_again(world: WebhookWorld) -> None:
    world.receiver.answers = [text(status=503)]
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
        await world.run_to_end("steps")
        for attempt in range(1, 8):
            await world.delivery(webhook, "pending", attempts=attempt)
            await world.is_due_now()
        failed = await world.delivery(webhook, "failed")
        world.receiver.answers = [text(status=204)]
        await world.resend(failed)
        delivered = await world.delivery(webhook, "delivered")

    assert (failed.attempt_count, failed.last_status) == (8, 503)
    assert failed.finished_at is not None
    assert delivered.attempt_count == 9
    assert len({request.headers["webhook-id"] for request in world.receiver.requests}) == 1


async def test_what_was_delivered_can_be_sent_again(world: WebhookWorld) -> None:
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
        await world.run_to_end("steps")
        await world.resend(await world.delivery(webhook, "delivered"))
        first, second = await world.arrivals(2)
        await world.delivery(webhook, "delivered", attempts=2)

    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    check_signed(second, webhook)


async def test_gone_ends_the_delivery_and_disables_the_webhook(world: WebhookWorld) -> None:
    world.receiver.answers = [text(status=410)]
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
        await world.run_to_end("steps")
        failed = await world.delivery(webhook, "failed")
        await world.run_to_end("steps")

    assert (failed.attempt_count, failed.last_status) == (1, 410)
    assert len(await world.deliveries(webhook)) == 1
    found = await world.ask(subjects.WEBHOOKS_GET, WebhookGet(webhook_id=webhook.id))
    assert found["disabled_at"] is not None


async def test_a_redirect_is_no_receipt_and_is_not_followed(world: WebhookWorld) -> None:
    world.receiver.answers = [text(status=307, location=f"{world.receiver.url}/elsewhere")]
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
        await world.run_to_end("steps")
        waiting = await world.delivery(webhook, "pending", attempts=1)

    assert len(world.receiver.requests) == 1
    assert waiting.last_error == f"{world.receiver.url}/ends answered 307; redirects are not followed."


async def test_the_other_side_may_ask_for_more_time(world: WebhookWorld) -> None:
    world.receiver.answers = [text(status=429, retry_after="1800")]
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
        await world.run_to_end("steps")
        waiting = await world.delivery(webhook, "pending", attempts=1)

    assert waiting.next_attempt_at is not None
    assert (waiting.next_attempt_at - waiting.created_at).total_seconds() > 1790


async def test_an_address_that_is_not_public_is_refused_in_words(world: WebhookWorld) -> None:
    async with world.worker(allowed=False):
        webhook = await world.hook_pipeline("steps")
        await world.run_to_end("steps")
        waiting = await world.delivery(webhook, "pending", attempts=1)

    assert world.receiver.connections == 0
    assert waiting.last_status is None
    assert "127.0.0.1, which is not a public address" in str(waiting.last_error)


async def test_an_answer_without_end_is_not_read_to_its_end(world: WebhookWorld) -> None:
    endless = text(b"x" * 100_000)
    endless.has_length = False
    endless.body = [b"x" * 100_000] * 50
    world.receiver.answers = [endless]
    async with world.worker():
        webhook = await world.hook_pipeline("steps")
        await world.run_to_end("steps")
        delivered = await world.delivery(webhook, "delivered")

    assert delivered.last_status == 200


# Making, reading, removing


async def test_the_secret_is_told_once_and_never_logged(
    world: WebhookWorld, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    world.receiver.answers = [text(status=410)]
    with caplog.at_level(logging.DEBUG):
        async with world.worker():
            webhook = await world.hook_pipeline("steps")
            await world.run_to_end("steps")
            delivery = await world.delivery(webhook, "failed")
    key = webhook.secret.removeprefix("whsec_")
    answers = [
        await world.ask(subjects.WEBHOOKS_GET, WebhookGet(webhook_id=webhook.id)),
        await world.ask(subjects.WEBHOOKS_LIST, WebhooksList()),
        await world.ask(subjects.WEBHOOK_DELIVERIES_LIST, WebhookDeliveriesList(webhook_id=webhook.id)),
        await world.ask(subjects.WEBHOOK_DELIVERIES_GET, WebhookDeliveryGet(delivery_id=delivery.id)),
    ]

    assert len(key) == 44
    assert all(key not in str(answer) and "secret" not in str(answer) for answer in answers)
    printed = capfd.readouterr()
    assert all(key not in told for told in (caplog.text, printed.out, printed.err))


async def test_webhooks_are_listed_by_whose_they_are_and_in_pages(world: WebhookWorld) -> None:
    pipeline_id = await world.pipeline_id("steps")
    run_id = await world.run_to_end("steps")
    of_pipeline = [await world.hook(pipeline_id=pipeline_id) for _ in range(3)]
    of_run = await world.hook(run_id=run_id)

    first = await world.ask(subjects.WEBHOOKS_LIST, WebhooksList(pipeline_id=pipeline_id, limit=2))
    rest = await world.ask(subjects.WEBHOOKS_LIST, WebhooksList(pipeline_id=pipeline_id, after=first["next_after"]))
    runs = await world.ask(subjects.WEBHOOKS_LIST, WebhooksList(run_id=run_id))

    assert [found["id"] for found in first["webhooks"] + rest["webhooks"]] == [
        str(made.id) for made in reversed(of_pipeline)
    ]
    assert rest["next_after"] is None
    assert [found["id"] for found in runs["webhooks"]] == [str(of_run.id)]


async def test_a_removed_webhook_is_told_no_more(world: WebhookWorld) -> None:
    removed = await world.hook_pipeline("steps", "/removed")
    await world.hook_pipeline("steps", "/kept")
    await world.ask(subjects.WEBHOOKS_DELETE, WebhookDelete(webhook_id=removed.id))
    async with world.worker():
        await world.run_to_end("steps")
        await world.arrivals(1)

    assert [request.target for request in world.receiver.requests] == ["/kept"]
    for subject, message in (
        (subjects.WEBHOOKS_GET, WebhookGet(webhook_id=removed.id)),
        (subjects.WEBHOOKS_DELETE, WebhookDelete(webhook_id=removed.id)),
        (subjects.WEBHOOK_DELIVERIES_LIST, WebhookDeliveriesList(webhook_id=removed.id)),
        (subjects.WEBHOOK_DELIVERIES_GET, WebhookDeliveryGet(delivery_id=new_id())),
    ):
        with pytest.raises(ServiceError) as refused:
            await world.ask(subject, message)
        assert refused.value.problem.status == 404


async def test_a_webhook_needs_a_run_that_is_there(world: WebhookWorld) -> None:
    with pytest.raises(ServiceError) as refused:
        await world.hook(run_id=new_id())
    assert refused.value.problem.type == "run_not_found"


async def test_a_webhook_needs_a_pipeline_that_is_there_and_be_it_a_draft(world: WebhookWorld) -> None:
    with pytest.raises(ServiceError) as refused:
        await world.hook(pipeline_id=new_id())
    draft = {"name": "d", "slug": "a-draft", "nodes": [{"key": "a", "type": "step", "config": {"say": "a"}}]}
    await world.engine.client.apply(draft, publish=False)

    assert refused.value.problem.type == "pipeline_not_found"
    assert (await world.hook_pipeline("a-draft")).url


async def test_webhooks_of_one_pipeline_are_bounded(world: WebhookWorld) -> None:
    pipeline_id = await world.pipeline_id("steps")
    for _ in range(20):
        await world.hook(pipeline_id=pipeline_id)

    with pytest.raises(ServiceError, match="which is the most") as refused:
        await world.hook(pipeline_id=pipeline_id)
    assert refused.value.problem.status == 409


async def test_no_pipeline_can_use_the_internal_type(world: WebhookWorld) -> None:
    async with world.worker():
        await world.hook_pipeline("steps")
        types = await world.engine.client.node_types()
        with pytest.raises(ServiceError, match="webhook"):
            await world.engine.client.apply(
                {"name": "x", "slug": "sly", "nodes": [{"key": "a", "type": "webhook", "config": {}}]}
            )

    assert "webhook" not in {found.node_type for found in types}
    assert "http_request" in {found.node_type for found in types}


async def test_a_run_ends_as_before_without_any_webhook(world: WebhookWorld) -> None:
    run_id = await world.run_to_end("steps")

    assert (await world.engine.read(run_id)).status is RunStatus.COMPLETED
    assert await world.engine.query("SELECT id FROM runs.webhook_deliveries") == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.com", "must begin with http"),
        ("https://", "must begin with http"),
        ("https://user:pass@example.com", "no credentials"),
        ("https://example.com/#here", "no fragment"),
        ("https://example.com/a b", "no spaces"),
        ("https://example.com:99999/", "Port out of range"),
        ("https://[::1", "Invalid IPv6"),
        ("https://example.com/" + "x" * 2000, "at most 2000"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        WebhookCreate(url=url, run_id=new_id())
