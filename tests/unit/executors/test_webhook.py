"""webhook: what is sent, and what counts as received."""

from __future__ import annotations

from typing import Any

import pytest

from services.executors.kit.addresses import read_allowed
from services.executors.kit.errors import NodeError, PermanentNodeError, TransientNodeError
from services.executors.kit.outbound import OutboundClient
from services.executors.webhook.config import WebhookConfig
from services.executors.webhook.execute import SendWebhook
from tests.http_server import Server, text
from tests.unit.executors.asking import context

SIGNED_AT = 1_700_000_000


async def send(url: str, age_s: float = 0, allowed: str = "127.0.0.1") -> tuple[dict[str, Any], dict[str, Any]]:
    """The output, and the figures."""
    config = WebhookConfig(url=url, id="d-1", timestamp=str(SIGNED_AT), signature="v1,abc", body='{"a": "é"}')
    about = context()
    async with OutboundClient(read_allowed([allowed] if allowed else [])) as client:
        return await SendWebhook(client, lambda: SIGNED_AT + age_s).execute(config, about), about.metadata


async def refusal(url: str, **more: Any) -> NodeError:
    with pytest.raises(NodeError) as refused:
        await send(url, **more)
    return refused.value


async def test_the_body_and_the_headers_are_sent_as_they_were_signed(server: Server):
    output, metadata = await send(f"{server.url}/ends?a=b")

    assert output == {"status": 200}
    assert metadata == {"http_status": 200}
    assert (server.last.method, server.last.target) == ("POST", "/ends?a=b")
    assert server.last.body == '{"a": "é"}'.encode()
    sent = {name: server.last.headers[name] for name in server.last.headers if name.startswith(("webhook-", "content"))}
    assert sent == {
        "webhook-id": "d-1",
        "webhook-timestamp": str(SIGNED_AT),
        "webhook-signature": "v1,abc",
        "content-type": "application/json",
        "content-length": "11",
    }


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_is_a_receipt(server: Server, status: int):
    server.answers = [text(status=status)]
    assert (await send(server.url))[0] == {"status": status}


@pytest.mark.parametrize("status", [301, 304, 400, 401, 404, 409, 422, 429, 500, 503, 999])
async def test_any_other_answer_may_pass(server: Server, status: int):
    body = "" if status == 304 else "a secret of theirs"
    server.answers = [text(body, status=status, location="http://127.0.0.1:1/")]
    error = await refusal(f"{server.url}/ends?token=secret")
    assert isinstance(error, TransientNodeError)
    assert f"/ends answered {status}" in error.message
    assert "secret" not in error.message
    assert len(server.requests) == 1


async def test_gone_does_not_pass(server: Server):
    server.answers = [text(status=410)]
    error = await refusal(server.url)
    assert isinstance(error, PermanentNodeError)
    assert error.code == "gone"


async def test_what_was_signed_too_long_ago_is_not_sent(server: Server):
    error = await refusal(server.url, age_s=241)
    assert isinstance(error, TransientNodeError)
    assert error.code == "stale"
    assert server.requests == []


async def test_the_guard_stands_before_it(server: Server):
    error = await refusal(server.url, allowed="")
    assert error.code == "address_refused"
    assert server.connections == 0


async def test_an_answer_that_is_no_http_may_pass(server: Server):
    server.answers = [text()]
    server.answers[0].raw = b"nonsense\r\n\r\n"
    assert isinstance(await refusal(server.url), TransientNodeError)
