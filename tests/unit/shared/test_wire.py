"""Commands of the NATS client protocol, byte by byte."""

from __future__ import annotations

import pytest

from shared.bus.wire import command


def test_message_without_headers() -> None:
    assert command("a.b", b"body", "inbox.1") == b"PUB a.b inbox.1 4\r\nbody\r\n"


def test_message_with_headers_tells_their_size_and_that_of_all() -> None:
    said = command("a", b"body", headers={"One": "1", "Two": "zwei ü"})

    head, _, rest = said.partition(b"\r\n")
    block = "NATS/1.0\r\nOne: 1\r\nTwo: zwei ü\r\n\r\n".encode()
    assert head == b"HPUB a  %d %d" % (len(block), len(block) + 4)
    assert rest == block + b"body\r\n"


@pytest.mark.parametrize(
    ("subject", "reply", "headers"),
    [
        ("a\r\nPUB b 0\r\n\r\n", "", None),
        ("a", "b\n", None),
        ("a", "", {"One": "1\r\nTwo: 2"}),
        ("a", "", {"O\nne": "1"}),
    ],
)
def test_nothing_ends_its_line(subject: str, reply: str, headers: dict[str, str] | None) -> None:
    with pytest.raises(ValueError, match="line break"):
        command(subject, b"", reply, headers)
