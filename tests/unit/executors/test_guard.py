"""The guard: a name is resolved once, checked whole, and dialled as it was checked."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from services.executors.kit.addresses import read_allowed
from services.executors.kit.errors import PermanentNodeError, TransientNodeError
from services.executors.kit.guard import AddressRefusedError, Guard
from tests.http_server import Server, text
from tests.unit.executors.asking import Asking, asking


class Names:
    """A resolver of ours in the place of the operating system's."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in answer
        ]


Resolve = Callable[..., Names]


@pytest.fixture
async def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """`resolve(["1.2.3.4"], ["10.0.0.1"])`: what is answered first, then second, and so on."""

    def use(*answers: list[str] | OSError) -> Names:
        names = Names(*answers)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
        return names

    return use


#: The same places, as URLs may spell them.
HOSTS = [
    "127.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7F.1", "017700000001",
    "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "2852039166", "0xA9FEA9FE", "224.0.0.1",
    "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[fe80::1]",
    "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001::1]", "[ff02::1]",
    "0177.0.0.1", "0x7f.0.0.0x1", "00000177.1", "\uff11\uff12\uff17.\uff10.\uff10.\uff11", "\u2460\u2461\u2466.0.0.1",
    "127\u30020.0.1", "user@127.0.0.1", "public.example@127.0.0.1", "127.0.0.1:80", "localhost", "LOCALHOST",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
async def test_no_spelling_of_a_place_inside_is_reached(server: Server, outside: Asking, host: str):
    where = host if host.endswith(":80") else f"{host}:{server.port}"
    failed = await outside.failure(f"http://{where}/secret")
    assert failed.code in ("address_refused", "invalid_url", "unreachable")
    assert server.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"])
async def test_a_refusal_names_the_address_and_the_setting(outside: Asking, host: str):
    failed = await outside.failure(f"http://{host}:81/")
    assert isinstance(failed, PermanentNodeError)
    assert failed.code == "address_refused"
    assert re.search(
        r"which is not a public address.* allow it with PIPEWRIGHT_ALLOW_ADDRESSES=\S+:81 ", failed.message
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]"])
async def test_the_setting_that_a_refusal_names_allows_the_address(server: Server, outside: Asking, host: str):
    url = f"http://{host}:{server.port}/"
    advice = re.search(r"PIPEWRIGHT_ALLOW_ADDRESSES=(\S+)", (await outside.failure(url)).message)
    assert advice is not None
    async with asking(advice.group(1)) as http:
        assert (await http.answer(url))["body"] == "fine"


@pytest.mark.parametrize(
    "addresses",
    [["10.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["::1"], ["2606:4700::1111", "127.0.0.1"], ["::ffff:10.0.0.1"]],
    ids=str,
)
async def test_a_name_is_refused_unless_all_its_addresses_may_be_reached(
    resolve: Resolve, outside: Asking, addresses: list[str]
):
    resolve(addresses)
    assert (await outside.failure("http://rebinding.example/")).code == "address_refused"


async def test_a_name_that_changes_its_mind_is_dialled_as_it_was_checked(resolve: Resolve, server: Server):
    """DNS rebinding: allowed when it is looked up, something else a moment later."""
    names = resolve(["127.0.0.1"], ["10.0.0.1"])
    async with asking(f"127.0.0.1:{server.port}") as http:
        assert (await http.answer(f"http://rebinding.example:{server.port}/"))["body"] == "fine"
    assert names.asked == ["rebinding.example"]
    assert server.last.headers["host"] == f"rebinding.example:{server.port}"


async def test_each_new_connection_is_checked_anew(resolve: Resolve, server: Server):
    resolve(["127.0.0.1"], ["10.0.0.1"])
    server.answers = [text("bye", connection="close")]
    async with asking("127.0.0.1") as http:
        url = f"http://rebinding.example:{server.port}/"
        await http.answer(url)
        assert (await http.failure(url)).code == "address_refused"


async def test_an_allowed_name_may_lead_inside(resolve: Resolve, server: Server):
    resolve(["127.0.0.1"])
    async with asking("db.internal") as http:
        assert (await http.answer(f"http://DB.internal:{server.port}/"))["body"] == "fine"
        assert (await http.failure(f"http://db.internal.example:{server.port}/")).code == "address_refused"


async def test_the_next_address_is_dialled_when_the_first_does_not_answer(resolve: Resolve, server: Server):
    resolve(["127.0.0.2", "127.0.0.1"])
    async with asking("127.0.0.0/8") as http:
        assert (await http.answer(f"http://two.example:{server.port}/"))["body"] == "fine"


@pytest.mark.parametrize("answer", [socket.gaierror(-2, "Name or service not known"), []], ids=["unknown", "empty"])
async def test_a_name_without_address_may_have_one_later(resolve: Resolve, outside: Asking, answer: Any):
    resolve(answer)
    failed = await outside.failure("http://nowhere.example/path?key=s3cret")
    assert isinstance(failed, TransientNodeError)
    assert failed.code == "unreachable"
    assert failed.message.startswith("http://nowhere.example/path could not be reached: ")
    assert "s3cret" not in failed.message


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "127.1", "1:2", "::g", "\uff11\uff12\uff17.0.0.1", ""])
def test_what_would_be_dialled_without_a_look_is_refused_unless_it_is_an_address(host: str):
    """aiohttp resolves no host that consists of digits or has a colon, and the operating system reads octal."""
    with pytest.raises(AddressRefusedError, match="is neither a name nor an address"):
        Guard(read_allowed(["0.0.0.0/0"])).check_literal(host, 80)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, server: Server):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with asking("127.0.0.1") as http:
        assert (await http.answer(server.url))["body"] == "fine"
