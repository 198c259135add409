"""Redirects: few, each through the guard, never to a less safe scheme, without credentials to another origin."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from services.executors.http_request.redirects import next_request
from services.executors.kit.errors import PermanentNodeError
from tests.http_server import Request, Server, serving, text
from tests.unit.executors.asking import Asking, asking

CREDENTIALS = {"Authorization": "Bearer s3cret", "Cookie": "a=s3cret", "X-Api-Key": "s3cret", "api-key": "s3cret"}


@pytest.fixture
async def other() -> AsyncIterator[Server]:
    """Another origin: another port is one."""
    async with serving() as made:
        yield made


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_of_a_get_is_followed(server: Server, http: Asking, status: int):
    server.decide = lambda got: text("moved", status, location="/b?c=d") if got.target == "/a" else text("here")
    assert (await http.answer(f"{server.url}/a"))["body"] == "here"
    assert [got.target for got in server.requests] == ["/a", "/b?c=d"]


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_post_becomes_a_get_without_body(server: Server, http: Asking, status: int):
    server.answers = [text("", status, location="/b"), text("here")]
    await http.answer(server.url, method="POST", body={"a": 1})
    assert (server.last.method, server.last.body) == ("GET", b"")
    assert "content-type" not in server.last.headers


@pytest.mark.parametrize("status", [307, 308])
async def test_a_post_stays_one_where_the_server_says_so(server: Server, http: Asking, status: int):
    server.answers = [text("", status, location="/b"), text("here")]
    await http.answer(server.url, method="POST", body={"a": 1})
    assert (server.last.method, server.last.target, server.last.body) == ("POST", "/b", b'{"a":1}')
    assert server.last.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_redirect_of_a_change_is_not_followed(server: Server, http: Asking, method: str):
    server.answers = [text("", 307, location="/b")]
    failed = await http.failure(server.url, method=method)
    assert failed.message == f"{server.url} answered 307"
    assert len(server.requests) == 1


@pytest.mark.parametrize(("hops", "is_followed"), [(3, True), (4, False)])
async def test_three_redirects_are_followed_and_no_more(server: Server, http: Asking, hops: int, is_followed: bool):
    def count_down(got: Request) -> object:
        left = int(got.target[1:])
        return text("", 302, location=f"/{left - 1}") if left else text("here")

    server.decide = count_down  # type: ignore[assignment]  # an answer each time
    if is_followed:
        assert (await http.answer(f"{server.url}/{hops}"))["body"] == "here"
    else:
        failed = await http.failure(f"{server.url}/{hops}")
        assert isinstance(failed, PermanentNodeError)
        assert (failed.code, "there were more than 3" in failed.message) == ("redirect_refused", True)
    assert len(server.requests) == 4


async def test_credentials_stay_with_their_origin(server: Server, http: Asking):
    server.answers = [text("", 302, location="/b"), text("here")]
    await http.answer(server.url, headers=CREDENTIALS)
    assert {name: server.last.headers[name.lower()] for name in CREDENTIALS} == CREDENTIALS


@pytest.mark.parametrize("status", [302, 307])
async def test_credentials_do_not_travel_to_another_origin(server: Server, other: Server, http: Asking, status: int):
    server.answers = [text("", status, location=f"{other.url}/b")]
    await http.answer(
        f"http://ada:s3cret@127.0.0.1:{server.port}", method="POST", body="x", headers=CREDENTIALS | {"X-Kept": "yes"}
    )
    assert "s3cret" not in str(other.last)
    assert other.last.headers["x-kept"] == "yes"
    assert other.last.headers["host"] == f"127.0.0.1:{other.port}"


async def test_credentials_of_the_target_are_sent_there(server: Server, other: Server, http: Asking):
    server.answers = [text("", 302, location=f"http://bob:theirs@127.0.0.1:{other.port}/b")]
    await http.answer(server.url, headers=CREDENTIALS)
    assert other.last.headers["authorization"] == "Basic Ym9iOnRoZWlycw=="


@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "http://2130706433:{port}/"])
async def test_a_redirect_to_a_place_inside_is_refused(server: Server, other: Server, target: str):
    server.answers = [text("", 302, location=target.format(port=other.port))]
    async with asking(f"127.0.0.1:{server.port}") as http:
        failed = await http.failure(server.url)
    assert failed.code == "address_refused"
    assert other.requests == []


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("file:///etc/passwd", "was refused: it leads to the scheme file"),
        ("ftp://host/", "was refused: it leads to the scheme ftp"),
        ("http://host:99999/", "was refused: its target is not a URL"),
        ("http:///path", "was refused: there were more than 3"),
        ("javascript:alert(1)", "was refused: it leads to the scheme javascript"),
        ("http://[::1/", "was refused: its target is not a URL"),
        ("http://host:bad/", "was refused: its target is not a URL"),
        ("http://xn--/", "was refused: its target is not a URL"),
    ],
)
async def test_a_redirect_to_what_is_no_web_address_leads_nowhere(server: Server, http: Asking, target: str, why: str):
    server.answers = [text("", 302, location=target)]
    failed = await http.failure(f"http://ada:s3cret@127.0.0.1:{server.port}/a?key=s3cret")
    assert failed.code == "redirect_refused"
    assert why in failed.message
    assert "s3cret" not in failed.message


async def test_a_redirect_from_https_to_http_is_refused():
    request = httpx.Request("GET", "https://host/a")
    response = httpx.Response(302, headers={"location": "http://host/a"})
    with pytest.raises(PermanentNodeError, match="it leads to the scheme http"):
        next_request(request, response, 0)
    assert next_request(request, httpx.Response(302, headers={"location": "/b"}), 0).url == "https://host/b"


async def test_each_request_on_the_way_has_the_timeout_of_the_first():
    request = httpx.Request("GET", "https://host/a", extensions={"timeout": {"read": 77}})
    for status in (302, 307):
        following = next_request(request, httpx.Response(status, headers={"location": "/b"}), 0)
        assert following.extensions["timeout"]["read"] == 77
