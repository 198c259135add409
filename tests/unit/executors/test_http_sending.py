"""http_request: what is sent, and what is not sent at all."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from services.executors.http_request.config import HttpRequestConfig
from services.executors.http_request.execute import build_request
from services.executors.kit.addresses import read_allowed
from services.executors.kit.errors import PermanentNodeError
from services.executors.kit.outbound import OutboundClient
from tests.http_server import Server
from tests.unit.executors.asking import Asking


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_the_method_and_the_path_are_sent_as_written(server: Server, http: Asking, method: str):
    await http.answer(f"{server.url}/a/b%20c;d?e=f", method=method)
    assert (server.last.method, server.last.target) == (method, "/a/b%20c;d?e=f")


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "get", ""])
def test_another_method_is_no_config(method: str):
    with pytest.raises(ValidationError):
        HttpRequestConfig(url="http://x", method=method)  # type: ignore[arg-type]  # the test's point


@pytest.mark.parametrize(
    ("url", "query", "target"),
    [
        ("/", {"a": "b"}, "/?a=b"),
        ("/?z=1", {"a": "b"}, "/?z=1&a=b"),
        ("/?a=1", {"a": "2"}, "/?a=2"),
        ("/", {"a": [1, 2]}, "/?a=1&a=2"),
        ("/", {"a": True, "b": None, "c": 1.5}, "/?a=true&b=&c=1.5"),
        ("/", {"a": "ü & =?#"}, "/?a=%C3%BC+%26+%3D%3F%23"),
        ("/", {"a": {"b": [1]}}, "/?a=%7B%22b%22%3A%5B1%5D%7D"),
        ("/#fragment", {"a": "b"}, "/?a=b"),
        ("/?a=1", {}, "/?a=1"),
    ],
)
async def test_the_query_is_added_to_the_url(
    server: Server, http: Asking, url: str, query: dict[str, Any], target: str
):
    await http.answer(server.url + url, query=query)
    assert server.last.target == target


async def test_headers_are_sent_and_the_client_names_itself(server: Server, http: Asking):
    await http.answer(server.url, headers={"X-Mine": " spaced ", "authorization": "Bearer t"})
    assert server.last.headers["x-mine"] == "spaced"
    assert server.last.headers["authorization"] == "Bearer t"
    assert server.last.headers["user-agent"] == "pipewright"
    assert server.last.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("body", "sent", "kind"),
    [
        ("plain ü", "plain ü".encode(), None),
        ("", b"", None),
        ({"a": [1, None, "ü"]}, orjson.dumps({"a": [1, None, "ü"]}), "application/json"),
        ([], b"[]", "application/json"),
        (0, b"0", "application/json"),
        (False, b"false", "application/json"),
        (None, b"", None),
    ],
    ids=repr,
)
async def test_text_is_sent_as_it_is_and_anything_else_as_json(
    server: Server, http: Asking, body: Any, sent: bytes, kind: str | None
):
    await http.answer(server.url, method="POST", body=body)
    assert server.last.body == sent
    assert server.last.headers.get("content-type") == kind


async def test_a_content_type_of_the_config_wins(server: Server, http: Asking):
    await http.answer(server.url, method="POST", body={"a": 1}, headers={"Content-Type": "application/vnd.mine+json"})
    assert server.last.headers["content-type"] == "application/vnd.mine+json"


async def test_credentials_in_the_url_become_a_header(server: Server, http: Asking):
    await http.answer(f"http://ada:s3cret@127.0.0.1:{server.port}/")
    assert server.last.headers["authorization"] == "Basic YWRhOnMzY3JldA=="
    assert server.last.target == "/"


@pytest.mark.parametrize(
    "name", ["Host", "connection", "Content-Length", "transfer-encoding", "Upgrade", "proxy-authorization"]
)
async def test_a_header_that_only_the_client_may_set_is_refused(server: Server, http: Asking, name: str):
    failed = await http.failure(server.url, headers={name: "x"})
    assert isinstance(failed, PermanentNodeError)
    assert failed.message == f"The header '{name}' is set by the client. Take it out."
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "s3cret\r\nx-evil: 1"),
        ("x-a", "s3cret\nx"),
        ("x-a", "s3cret\x00"),
        ("x-a", "s3cret ü"),
        ("x-a", "s3cret\u2028"),
        ("", "s3cret"),
        ("x a", "s3cret"),
        ("x:a", "s3cret"),
        ("x/a", "s3cret"),
        ("x-ü", "s3cret"),
        ("x-a\r\nx-evil", "s3cret"),
    ],
    ids=repr,
)
async def test_a_header_that_http_does_not_allow_is_refused_without_its_value(
    server: Server, http: Asking, name: str, value: str
):
    failed = await http.failure(server.url, headers={name: value})
    assert isinstance(failed, PermanentNodeError)
    assert failed.code == "invalid_header"
    assert "s3cret" not in failed.message
    assert server.requests == []


@pytest.mark.parametrize("value", ["Bearer s3cret\n", " Bearer s3cret ", "\tBearer s3cret"])
async def test_white_space_around_a_value_is_not_sent(server: Server, http: Asking, value: str):
    await http.answer(server.url, headers={"authorization": value})
    assert server.last.headers["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ada:s3cret@host/?key=s3cret",
        "file:///etc/passwd",
        "//host/path",
        "host/path",
        "javascript:alert(1)",
        "http://",
        "http:///path",
        "https://ada:s3cret@host:port/?key=s3cret",
        "https://ada:s3cret@host:99999/?key=s3cret",
        "http://host:0/",
        "http://xn--/",
        "http://[::1/",
        "http://127.0.0.1\x00/",
        "http://host/\n?key=s3cret",
        "http://\uff11/",
    ],
)
async def test_what_is_no_url_is_refused_without_its_secrets(http: Asking, url: str):
    failed = await http.failure(url)
    assert isinstance(failed, PermanentNodeError)
    assert failed.code == "invalid_url"
    assert "is not a URL to send to: " in failed.message
    assert "s3cret" not in failed.message


async def test_a_host_that_only_the_one_below_refuses_is_no_fault_of_ours(http: Asking):
    failed = await http.failure("http://ho\\st/?key=s3cret")
    assert isinstance(failed, PermanentNodeError)
    assert failed.code == "invalid_request"
    assert "s3cret" not in failed.message


@pytest.mark.parametrize("timeout_s", [0.5, 300.0])
async def test_the_timeout_of_the_config_bounds_silence_too(timeout_s: float):
    """And not the minute that the client would wait by itself."""
    async with OutboundClient(read_allowed([])) as client:
        request = build_request(client, HttpRequestConfig(url="http://x", timeout_s=timeout_s))
    assert request.extensions["timeout"]["read"] == timeout_s
    assert request.extensions["timeout"]["connect"] == min(timeout_s, 10.0)


@pytest.mark.parametrize("config", [{"timeout_s": 0}, {"timeout_s": 3601}, {"url": ""}, {"heders": {}}], ids=str)
def test_a_config_out_of_bounds_is_refused(config: dict[str, Any]):
    with pytest.raises(ValidationError):
        HttpRequestConfig.model_validate({"url": "http://x", **config})
