"""What a NATS URL tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.bus.address import AddressError, read_address


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("nats://nats:4222", "_INBOX"),
        ("nats://token@nats:4222", "_INBOX"),
        ("nats://gateway:secret@nats:4222", "_INBOX_gateway"),
        ("nats://executor-http_request:secret@nats:4222", "_INBOX_executor-http_request"),
        ("nats://a.b*%3E:secret@nats:4222", "_INBOX_a_b__"),
    ],
)
def test_each_user_hears_its_answers_under_its_own_prefix(url: str, prefix: str):
    address = read_address(url)

    assert (address.servers, address.inbox_prefix, address.tls) == (["nats://nats:4222"], prefix, None)


@pytest.mark.parametrize(
    "url",
    [
        "nats://gateway:a%2Cb@nats-1:4222,nats://nats-2:4222,nats://nats-3",
        "nats://gateway:a%2Cb@nats-1:4222, nats://gateway:a%2Cb@nats-2:4222, nats://gateway:a%2Cb@nats-3",
    ],
)
def test_the_servers_of_a_cluster_share_their_credentials(url: str):
    address = read_address(url)

    assert address.servers == ["nats://nats-1:4222", "nats://nats-2:4222", "nats://nats-3"]
    assert address.hosts == [("nats-1", 4222), ("nats-2", 4222), ("nats-3", 4222)]
    assert (address.user, address.password) == ("gateway", "a,b")


def test_tls_is_asked_for_by_the_scheme():
    address = read_address("tls://gateway:secret@nats:4222")

    assert address.tls is not None
    assert address.tls.check_hostname


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nats://nats:4222?ca=/there", "tls://"),
        ("tls://nats:4222?insecure=1", "not insecure"),
        ("nats://me:secret@nats-1:4222,nats://you:secret@nats-2:4222", "the same user"),
        ("tls://me:secret@nats-1:4222,nats://nats-2:4222", "the same scheme"),
        ("tls://me:secret@nats:4222?ca=/nowhere/ca.pem", "/nowhere/ca.pem cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_without_the_password(url: str, words: str):
    with pytest.raises(AddressError) as refused:
        read_address(url)

    assert words in str(refused.value)
    assert "secret" not in str(refused.value)


def test_an_authority_of_ones_own_is_read_and_leaves_the_url(tmp_path: Path):
    ca = tmp_path / "ca.pem"
    ca.write_text("no certificate")

    with pytest.raises(AddressError, match="cannot be read"):
        read_address(f"tls://nats:4222?ca={ca}")
