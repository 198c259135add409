"""What makes a secret or an address too weak for production; pure."""

from __future__ import annotations

import ipaddress
import re

#: Letters of secrets that everybody tries first.
WELL_KNOWN = frozenset(
    ["admin", "changeme", "default", "demo", "example", "letmein", "password", "pipewright", "postgres", "qwerty",
     "replaceme", "secret", "test"]
)  # fmt: skip
#: A random secret of 32 characters has more; so many are left by one that was typed.
FEWEST_CHARACTERS = 8


def weakness_of_secret(text: str, shortest: int) -> str | None:
    """Why this is no secret, without a part of it; None when it may be one."""
    letters = re.sub(r"[^a-z]", "", text.lower())
    if letters in WELL_KNOWN or "changeme" in letters:
        return "is a well-known value"
    if len(text) < shortest:
        return f"is shorter than {shortest} characters"
    if len(set(text)) < FEWEST_CHARACTERS:
        return "repeats a few characters"
    return None


def is_this_machine(host: str) -> bool:
    """Loopback, link-local or no address at all: none of them is reached through a network."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_link_local or address.is_unspecified
