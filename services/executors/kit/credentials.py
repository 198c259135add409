"""Which credentials a request carries, so that an answer that quotes them can be told without them; pure."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

import httpx

#: Headers that carry credentials, by a word of their name: `x-api-key`, `cookie`, `x-goog-signature`.
_SECRET_NAME = re.compile(r"auth|key|token|secret|passw|cookie|credential|signature|session", re.IGNORECASE)
#: Blotting out what is shorter would spoil the text and hide nothing.
SHORTEST = 4
BLOT = "***"


def credentials_of(*requests: httpx.Request) -> set[str]:
    """Those in headers, and all that the URLs hold as user, password and query."""
    in_headers = {value for request in requests for value in _in_headers(request.headers)}
    return {value for value in in_headers if len(value) >= SHORTEST}.union(
        *(credentials_of_url(request.url) for request in requests)
    )


def credentials_of_url(url: httpx.URL) -> set[str]:
    """User, password and the values of the query, in every form that they may come back in."""
    found = {form for value in _in_url(url) for form in (value, quote(value, safe=""), quote(value), quote_plus(value))}
    return {value for value in found if len(value) >= SHORTEST}


def basic_credentials(url: httpx.URL) -> str:
    """User and password as the header `authorization` holds them behind `Basic` (RFC 7617)."""
    return b64encode(f"{url.username}:{url.password}".encode()).decode()


def blot_out(text: str, credentials: Iterable[str]) -> str:
    """The text without them; the longest first, since one may hold another."""
    for credential in sorted(credentials, key=len, reverse=True):
        text = text.replace(credential, BLOT)
    return text


def _in_url(url: httpx.URL) -> Iterator[str]:
    if url.userinfo:
        # They are sent as a header, so the other side has seen that form, too.
        yield basic_credentials(url)
        yield url.username
        yield url.password
    for _, value in url.params.multi_items():
        yield value


def _in_headers(headers: httpx.Headers) -> Iterator[str]:
    for name, value in headers.items():
        if _SECRET_NAME.search(name):
            yield value
            for part in re.split(r"[;,]\s*", value):
                # `Bearer abc` and `session=abc` may come back without what stands before.
                yield part.partition(" ")[2]
                yield part.partition("=")[2]
