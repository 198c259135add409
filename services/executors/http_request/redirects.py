"""Follows a redirect by hand: few, never to a less safe scheme, and without credentials to another origin."""

from __future__ import annotations

import httpx

from services.executors.kit.errors import PermanentNodeError
from services.executors.kit.outbound import authorization_of, check_url, shown_url

MOST_REDIRECTS = 3
CREDENTIALS = ("authorization", "cookie", "x-api-key", "api-key")


def next_request(request: httpx.Request, response: httpx.Response, hop: int) -> httpx.Request:
    """The request that a redirect asks for; raises PermanentNodeError when it may not be made."""
    try:
        url = request.url.join(response.headers["location"])
        if url.scheme in ("http", "https"):
            check_url(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _refused(request, f"its target is not a URL: {error}") from error
    if hop >= MOST_REDIRECTS:
        raise _refused(request, f"there were more than {MOST_REDIRECTS}")
    if url.scheme not in ("http", "https") or (request.url.scheme == "https" and url.scheme == "http"):
        raise _refused(request, f"it leads to the scheme {url.scheme}")
    headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
    if (url.scheme, url.host, url.port) != (request.url.scheme, request.url.host, request.url.port):
        headers = {name: value for name, value in headers.items() if name not in CREDENTIALS}
    headers |= authorization_of(url)
    if response.status_code in (307, 308):
        return httpx.Request(
            request.method, url, headers=headers, content=request.content, extensions=request.extensions
        )
    headers.pop("content-type", None)
    return httpx.Request("GET", url, headers=headers, extensions=request.extensions)


def _refused(request: httpx.Request, why: str) -> PermanentNodeError:
    return PermanentNodeError("redirect_refused", f"A redirect of {shown_url(request.url)} was refused: {why}.")
