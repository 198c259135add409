"""The ports of the local stack: those of the last start, as far as nobody has taken them."""

from __future__ import annotations

import socket

from services.cli.local.state import choose_ports


def test_a_first_start_has_as_many_ports_as_servers() -> None:
    assert len(set(choose_ports([0] * 200))) == 200


def test_ports_of_the_last_start_are_used_again() -> None:
    kept = choose_ports([0, 0])

    assert choose_ports(kept) == kept


def test_a_port_that_another_program_has_is_chosen_anew() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]

        [chosen] = choose_ports([taken])

    assert chosen != taken


def test_two_servers_that_want_the_same_port_have_two() -> None:
    [kept] = choose_ports([0])

    first, second = choose_ports([kept, kept])

    assert first == kept
    assert second != kept
