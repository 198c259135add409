"""http_request: what an answer gives, which failures may pass, and what never comes out."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from base64 import b64encode
from contextlib import AsyncExitStack
from typing import Any

import pytest

from services.executors.http_request.execute import ANSWER_LIMIT
from services.executors.kit import transport
from services.executors.kit.errors import PermanentNodeError, TransientNodeError
from tests.eventually import eventually
from tests.http_server import Answer, Request, Server, json, serving, text
from tests.ports import free_port
from tests.unit.executors.asking import Asking, asking


@pytest.mark.parametrize(
    ("kind", "sent", "given"),
    [
        ("application/json", b'{"a": [1, "\xc3\xbc"]}', {"a": [1, "ü"]}),
        ("application/problem+json; charset=utf-8", b"[1]", [1]),
        ("Application/JSON", b"null", None),
        ("application/json", b"", None),
        ("application/json", b"{broken", "{broken"),
        ("text/plain", b'{"a": 1}', '{"a": 1}'),
        ("text/plain; charset=latin-1", b"\xfc", "ü"),
        ("text/plain; charset=utf-8", b"\xfc!", "\ufffd!"),
        ("text/plain; charset=bogus", b"ok", "ok"),
        ("text/plain; charset=hex", b"ok", "ok"),
        ("text/plain; charset=idna", b"\xff", "\ufffd"),
        ("text/plain; charset=undefined", b"\xff", "\ufffd"),
        ("text/plain", b"a\x00b", "a\ufffdb"),
        ("image/png", b"\x89PNG", "\ufffdPNG"),
    ],
)
async def test_a_body_is_parsed_when_it_is_json_and_text_otherwise(
    server: Server, http: Asking, kind: str, sent: bytes, given: Any
):
    server.answers = [text(sent, content_type=kind)]
    found = await http.answer(server.url)
    assert (found["status"], found["body"]) == (200, given)


async def test_an_answer_has_status_headers_and_body(server: Server, http: Asking):
    server.answers = [json({"id": 7}, 201, X_Mine="a")]
    assert await http.answer(server.url, method="POST") == {
        "status": 201,
        "headers": {"content-type": "application/json", "x-mine": "a", "content-length": "8"},
        "body": {"id": 7},
    }
    assert http.metadata == {"http_status": 201, "bytes": 8}


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299, 304])
async def test_a_status_that_is_no_refusal_is_an_answer(server: Server, http: Asking, status: int):
    server.answers = [text("", status)]
    assert (await http.answer(server.url))["status"] == status


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_a_status_that_may_pass_is_transient(server: Server, http: Asking, status: int):
    server.answers = [text("come again", status)]
    failed = await http.failure(f"{server.url}/path?key=s3cret")
    assert isinstance(failed, TransientNodeError)
    assert (failed.code, failed.retry_after_s) == ("http_status", None)
    assert failed.message == f"{server.url}/path answered {status}: come again"
    assert http.metadata["http_status"] == status


@pytest.mark.parametrize("status", [300, 305, 400, 401, 403, 404, 409, 410, 422, 451])
async def test_any_other_refusal_is_permanent(server: Server, http: Asking, status: int):
    server.answers = [text("", status)]
    failed = await http.failure(server.url)
    assert isinstance(failed, PermanentNodeError)
    assert (failed.code, failed.message) == ("http_status", f"{server.url} answered {status}")


async def test_only_the_beginning_of_a_refusal_is_told(server: Server, http: Asking):
    server.answers = [text("a" * 300 + "b" * 9000, 404)]
    assert (await http.failure(server.url)).message == f"{server.url} answered 404: {'a' * 300}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999999999999999999", 3600.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("\u00b2", None),
        ("Wed, 21 Oct 2065 07:28:00 GMT", 3600.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 20655 07:28:00 GMT", None),
        ("Wed, 32 Oct 2065 07:28:00 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_passed_on_in_seconds(
    server: Server, http: Asking, status: int, header: str, seconds: float | None
):
    server.answers = [text("", status, retry_after=header)]
    failed = await http.failure(server.url)
    assert isinstance(failed, TransientNodeError)
    assert failed.retry_after_s == seconds


async def test_a_date_to_come_back_at_is_read_by_the_clock_of_who_names_it(server: Server, http: Asking):
    dates = {"date": "Wed, 21 Oct 2015 07:28:00 GMT", "retry_after": "Wed, 21 Oct 2015 07:28:30 GMT"}
    server.answers = [text("", 503, **dates)]
    failed = await http.failure(server.url)
    assert isinstance(failed, TransientNodeError)
    assert failed.retry_after_s == 30.0


def echo(request: Request) -> Answer:
    """Says what was sent, as some APIs do when they refuse it."""
    return text(f"{request.target} {request.headers}", 401)


@pytest.mark.parametrize(
    ("userinfo", "query", "headers"),
    [
        ("", "", {"authorization": "Bearer s3cret-7"}),
        ("", "", {"X-Api-Key": "s3cret-7"}),
        ("", "", {"cookie": "theme=dark; session=s3cret-7"}),
        ("", "?key=s3cret-7", {}),
        ("", "?key=s3cret%2B7%2F8", {}),
        ("ada:s3cret-7@", "", {}),
    ],
    ids=str,
)
async def test_a_refusal_that_quotes_credentials_is_told_without_them(
    server: Server, http: Asking, userinfo: str, query: str, headers: dict[str, str]
):
    server.decide = echo
    url = f"http://{userinfo}127.0.0.1:{server.port}/{query}"
    failed = await http.failure(url, headers=headers)
    assert "***" in failed.message
    assert "s3cret" not in failed.message
    assert b64encode(b"ada:s3cret-7").decode() not in failed.message


async def test_a_credential_that_stands_where_a_refusal_is_cut_is_not_told_in_part(server: Server, http: Asking):
    server.answers = [text("x" * 295 + "s3cret-7", 401)]
    assert "s3c" not in (await http.failure(server.url, headers={"x-api-key": "s3cret-7"})).message


async def test_an_answer_that_is_no_http_and_quotes_a_credential_is_told_without_it(server: Server, http: Asking):
    server.answers = [Answer(raw=b"s3cret-7\r\n\r\n")]
    failed = await http.failure(server.url, headers={"x-api-key": "s3cret-7"})
    assert failed.code == "connection_failed"
    assert "s3cret" not in failed.message


async def test_credentials_of_an_answer_are_hidden(server: Server, http: Asking):
    hidden = {"set_cookie": "session=s3cret", "Authorization": "s3cret", "www_authenticate": "s3cret"}
    server.answers = [text("", x_kept="yes", proxy_authenticate="s3cret", Set_Cookie2="s3cret", **hidden)]
    assert (await http.answer(server.url))["headers"] == {"x-kept": "yes", "content-length": "0"}


async def test_no_cookie_is_kept_for_the_next_request(server: Server, http: Asking):
    server.answers = [text("", set_cookie="session=s3cret")]
    await http.answer(server.url)
    await http.answer(server.url)
    assert "cookie" not in server.last.headers


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZip"])
async def test_a_packed_body_is_unpacked(server: Server, http: Asking, encoding: str):
    packed = zlib.compress(b"hello") if encoding == "deflate" else gzip.compress(b"hello")
    server.answers = [text(packed, content_encoding=encoding)]
    assert (await http.answer(server.url))["body"] == "hello"


@pytest.mark.parametrize("has_length", [True, False])
async def test_an_answer_over_the_limit_is_refused(server: Server, http: Asking, has_length: bool):
    part = b"x" * 2**20
    server.answers = [Answer(body=[part] * 100, has_length=has_length)]
    failed = await http.failure(f"{server.url}/?key=s3cret")
    assert isinstance(failed, PermanentNodeError)
    assert failed.code == "output_too_large"
    assert failed.message == f"{server.url}/ sent more than {ANSWER_LIMIT} bytes. Ask for less."
    await asyncio.wait_for(server.was_left.wait(), 30)


async def test_a_small_answer_that_unpacks_to_much_is_refused(server: Server, http: Asking):
    bomb = gzip.compress(bytes(64 * 2**20))
    assert len(bomb) < 100_000
    server.answers = [text(bomb, content_encoding="gzip")]
    assert (await http.failure(server.url)).code == "output_too_large"


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,deflate", "br", "zstd", "compress"])
async def test_layers_of_packing_and_unknown_ones_are_refused_unread(server: Server, http: Asking, encoding: str):
    """A thousand gigabytes of zeros, packed three times, are a few hundred bytes."""
    server.answers = [text(gzip.compress(gzip.compress(bytes(2**20))), content_encoding=encoding)]
    failed = await http.failure(server.url)
    assert isinstance(failed, PermanentNodeError)
    assert failed.code == "encoding_refused"
    assert f"'{encoding.replace(',d', ', d')}'" in failed.message


@pytest.mark.parametrize(
    "answer",
    [
        Answer(raw=b""),
        Answer(raw=b"garbage\r\n\r\n"),
        Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
        Answer(raw=b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        Answer(raw=b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"),
        Answer(raw=b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000),
        text("no gzip", content_encoding="gzip"),
    ],
    ids=["nothing", "garbage", "half a body", "bad chunk", "bad header", "endless header", "wrongly packed"],
)
async def test_an_exchange_that_breaks_off_may_be_tried_again(server: Server, http: Asking, answer: Answer):
    server.answers = [answer]
    failed = await http.failure(f"http://ada:s3cret@127.0.0.1:{server.port}/path?key=s3cret")
    assert isinstance(failed, TransientNodeError)
    assert failed.code == "connection_failed"
    assert failed.message.startswith(f"The exchange with {server.url}/path broke off: ")
    assert "s3cret" not in failed.message


async def test_a_server_that_is_down_may_be_up_later(http: Asking):
    failed = await http.failure(f"http://127.0.0.1:{free_port()}/")
    assert isinstance(failed, TransientNodeError)
    assert failed.code == "unreachable"
    assert failed.message.endswith("Check the address and that it is up.")


async def test_silence_ends_with_the_timeout_of_the_config(server: Server, http: Asking):
    server.answers = [Answer(body=[b"never"], waits_for=asyncio.Event())]
    failed = await http.failure(f"{server.url}/slow?key=s3cret", timeout_s=0.2)
    assert isinstance(failed, TransientNodeError)
    assert failed.code == "timed_out"
    assert failed.message.startswith(f"{server.url}/slow did not answer")
    assert "s3cret" not in failed.message
    await asyncio.wait_for(server.was_left.wait(), 30)


async def test_an_attempt_that_is_cancelled_lets_go_of_its_connection(server: Server, http: Asking):
    server.answers = [Answer(body=[b"never"], waits_for=asyncio.Event())]
    attempt = asyncio.create_task(http.answer(server.url))
    await eventually(lambda: server.requests)
    attempt.cancel()
    await asyncio.wait_for(server.was_left.wait(), 30)
    with pytest.raises(asyncio.CancelledError):
        await attempt


async def test_a_connection_is_used_again(server: Server, http: Asking):
    for _ in range(3):
        await http.answer(server.url)
    assert [request.connection for request in server.requests] == [1, 1, 1]


async def test_a_connection_that_the_server_ended_is_not_used_again(server: Server, http: Asking):
    server.answers = [Answer(body=[b"open"], has_length=False), text("again")]
    assert (await http.answer(server.url))["body"] == "open"
    assert (await http.answer(server.url))["body"] == "again"
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
async def test_a_request_that_is_lost_on_a_kept_connection_is_sent_once(server: Server, http: Asking, method: str):
    """It may have been done; whether it is tried again is the node's to say."""
    server.answers = [text("kept"), Answer(raw=b"")]
    await http.answer(server.url)
    failed = await http.failure(server.url, method=method)
    assert failed.code == "connection_failed"
    assert [request.connection for request in server.requests] == [1, 1]


async def test_connections_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch):
    """Whoever calls one host after another would have a worker run out of descriptors."""
    monkeypatch.setattr(transport, "MOST_KEPT", 3)
    async with asking("127.0.0.1") as http, AsyncExitStack() as servers:
        for connections in ([1, 1], [1, 1], [1, 2], [1, 2]):
            server = await servers.enter_async_context(serving())
            for _ in range(2):
                await http.answer(server.url)
            assert [request.connection for request in server.requests] == connections


async def test_requests_at_the_same_time_have_connections_of_their_own(server: Server, http: Asking):
    gate = asyncio.Event()
    server.answers = [Answer(body=[b"x"], waits_for=gate)]
    attempts = [asyncio.create_task(http.answer(server.url)) for _ in range(5)]
    await eventually(lambda: len(server.requests) == 5)
    gate.set()
    assert [found["body"] for found in await asyncio.gather(*attempts)] == ["x"] * 5
    assert server.connections == 5
