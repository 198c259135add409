"""Which addresses may be reached: public ones, and what the operator allows."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from services.executors.kit.addresses import is_public, read_allowed

NOT_PUBLIC = {
    "loopback": "127.0.0.1 127.255.255.254 ::1",
    "unspecified": "0.0.0.0 0.1.2.3 ::",
    "private": "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 fc00::1 fdff::1",
    "shared": "100.64.0.1 100.127.255.255",
    "link-local": "169.254.1.1 fe80::1 febf::1 fe80::1%1",
    "site-local": "fec0::1 feff::1",
    "metadata": "169.254.169.254 169.254.170.2 100.100.100.200 192.0.0.192 168.63.129.16 fd00:ec2::254",
    "multicast": "224.0.0.1 239.255.255.255 ff02::1 ff0e::1",
    "reserved": "240.0.0.1 255.255.255.255 4000::1 e000::1 ::5",
    "for documentation and tests": "192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1 2001:db8::1",
    "mapped into IPv6": "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:0",
    "compatible with IPv4": "::127.0.0.1 ::169.254.169.254",
    "translated": "64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 ::ffff:0:7f00:1",
    "6to4": "2002:7f00:1:: 2002:a9fe:a9fe::1 192.88.99.1",
    "Teredo": "2001:0:1:2:3:4:80ff:fffe",
    "discarded": "100::1",
}
PUBLIC = "1.1.1.1 8.8.8.8 93.184.215.14 172.15.0.1 172.32.0.1 100.63.0.1 100.128.0.1 2606:4700::1111 ::ffff:8.8.8.8"


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in NOT_PUBLIC.items() for text in texts.split()]
)
def test_an_address_that_leads_inside_is_not_public(kind: str, text: str):
    assert not is_public(ip_address(text)), kind


@pytest.mark.parametrize("text", PUBLIC.split())
def test_any_other_address_is_public(text: str):
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    ("entry", "host", "port", "address", "is_allowed"),
    [
        ("10.1.2.3", "10.1.2.3", 80, "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3", 9999, "10.1.2.3", True),
        ("10.1.2.3", "db.internal", 80, "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.4", 80, "10.1.2.4", False),
        ("10.1.2.3:8080", "10.1.2.3", 8080, "10.1.2.3", True),
        ("10.1.2.3:8080", "10.1.2.3", 80, "10.1.2.3", False),
        ("10.1.0.0/16", "db.internal", 80, "10.1.255.255", True),
        ("10.1.0.0/16", "db.internal", 80, "10.2.0.0", False),
        ("10.1.2.3/16", "db.internal", 80, "10.1.9.9", True),
        ("0.0.0.0/0", "x", 80, "::1", False),
        ("db.internal", "db.internal", 5432, "10.9.9.9", True),
        ("DB.Internal:5432", "db.internal", 5432, "10.9.9.9", True),
        ("db.internal:5432", "db.internal", 80, "10.9.9.9", False),
        ("db.internal", "evil.db.internal", 80, "10.9.9.9", False),
        ("db.internal", "10.9.9.9", 80, "10.9.9.9", False),
        ("::1", "x", 80, "::1", True),
        ("[::1]", "x", 80, "::1", True),
        ("[::1]:80", "x", 80, "::1", True),
        ("[::1]:80", "x", 81, "::1", False),
        ("fd00::/8", "x", 80, "fd12::1", True),
        ("fd00::/8", "x", 80, "10.0.0.1", False),
        ("127.0.0.1", "x", 80, "::ffff:127.0.0.1", False),
    ],
)
def test_an_entry_allows_what_it_names_and_nothing_else(
    entry: str, host: str, port: int, address: str, is_allowed: bool
):
    assert read_allowed([entry]).allows(host, port, ip_address(address)) is is_allowed


def test_without_entries_nothing_is_allowed():
    assert not read_allowed([]).allows("localhost", 80, ip_address("127.0.0.1"))


def test_entries_stand_beside_each_other():
    allowed = read_allowed(["10.0.0.1:80", "10.0.0.1:81", "fd00::/8", "db"])
    assert allowed.allows("x", 81, ip_address("10.0.0.1"))
    assert allowed.allows("db", 1, ip_address("10.0.0.9"))
    assert not allowed.allows("x", 82, ip_address("10.0.0.1"))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("host:", "invalid literal for int"),
        ("host:http", "invalid literal for int"),
        ("[::1]:x", "invalid literal for int"),
        ("10.0.0.0/33", "does not appear to be an IPv4 or IPv6 network"),
        ("host/8", "does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_what_is_no_entry_is_an_error(entry: str, words: str):
    with pytest.raises(ValueError, match=words):
        read_allowed([entry])
