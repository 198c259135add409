"""Sends an HTTP request and gives the answer."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import orjson

from services.executors.http_request.config import HttpRequestConfig
from services.executors.http_request.redirects import MOST_REDIRECTS, next_request
from services.executors.kit.credentials import blot_out, credentials_of
from services.executors.kit.errors import NodeError, PermanentNodeError, TransientNodeError
from services.executors.kit.node_type import NodeContext
from services.executors.kit.outbound import (
    OutboundClient,
    check_encoding,
    check_url,
    retry_after_s,
    shown_url,
)
from shared.logging import redact_text

#: The most of an answer that is read, after decompression.
ANSWER_LIMIT = 15 * 1024 * 1024
#: Headers that only the client itself may set.
REFUSED_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "keep-alive",
     "proxy-authorization", "proxy-connection"}
)  # fmt: skip
#: A token of RFC 9110.
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: Headers of an answer that hold credentials.
HIDDEN_HEADERS = frozenset({"set-cookie", "set-cookie2", "authorization", "www-authenticate", "proxy-authenticate"})
TRANSIENT_STATUSES = frozenset({408, 425, 429})
#: How much of a refusal's text is told.
TEXT_SHOWN = 300


class HttpRequest:
    """Executes http_request nodes over one client."""

    def __init__(self, client: OutboundClient) -> None:
        self._client = client

    async def execute(self, config: HttpRequestConfig, context: NodeContext) -> dict[str, Any]:
        request = build_request(self._client, config)
        try:
            async with asyncio.timeout(config.timeout_s):
                response, body = await self._exchange(request)
        except TimeoutError as error:
            message = f"{shown_url(request.url)} did not answer within {config.timeout_s:g} s."
            raise TransientNodeError("timed_out", message) from error
        context.metadata["http_status"] = response.status_code
        context.metadata["bytes"] = len(body)
        raise_for_status(response, body, request)
        return {
            "status": response.status_code,
            "headers": _headers(response),
            "body": read_body(response, body),
        }

    async def _exchange(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        """The answer after at most three redirects, each checked as the first request was."""
        first = request

        async def read(response: httpx.Response) -> bytes:
            return await _read(response, first.url)

        for hop in range(MOST_REDIRECTS + 1):
            response, body = await self._client.exchange(request, read)
            if not response.has_redirect_location or request.method not in ("GET", "POST"):
                break
            request = next_request(request, response, hop)
        return response, body


def build_request(client: OutboundClient, config: HttpRequestConfig) -> httpx.Request:
    """Raises NodeError when the URL or a header cannot be sent."""
    try:
        url = httpx.URL(config.url.strip())
        if url.scheme not in ("http", "https"):
            raise httpx.InvalidURL("it is not http or https")
        check_url(url)
    except httpx.InvalidURL as error:
        shown = redact_text(config.url.partition("?")[0])[:200]
        message = f"'{shown}' is not a URL to send to: {str(error).rstrip('.')}. Write for example https://host/path."
        raise PermanentNodeError("invalid_url", message) from error
    headers = _checked_headers(config.headers)
    content: bytes | None = None
    if isinstance(config.body, str):
        content = config.body.encode()
    elif config.body is not None:
        content = orjson.dumps(config.body)
        headers.setdefault("content-type", "application/json")
    params = {name: _parameter(value) for name, value in config.query.items()}
    if params:
        url = url.copy_merge_params(params)
    return client.build_request(config.method, url, headers=headers, content=content, timeout_s=config.timeout_s)


def _parameter(value: Any) -> Any:
    if isinstance(value, list):
        return [_parameter(item) for item in value]
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    return value


def _checked_headers(headers: dict[str, str]) -> dict[str, str]:
    checked = {}
    for name, value in headers.items():
        if name.lower() in REFUSED_HEADERS:
            raise PermanentNodeError("invalid_header", f"The header '{name}' is set by the client. Take it out.")
        if not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.replace("\t", " ").strip().isprintable()):
            raise PermanentNodeError(
                "invalid_header", f"The header '{name[:100]}' holds characters that no header may have."
            )
        checked[name.lower()] = value.strip()
    return checked


async def _read(response: httpx.Response, url: httpx.URL) -> bytes:
    """The body, as far as the limit allows."""
    check_encoding(response)
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > ANSWER_LIMIT:
            raise PermanentNodeError(
                "output_too_large", f"{shown_url(url)} sent more than {ANSWER_LIMIT} bytes. Ask for less."
            )
        parts.append(part)
    return b"".join(parts)


def raise_for_status(response: httpx.Response, body: bytes, request: httpx.Request) -> None:
    """Raises NodeError for 4xx and 5xx, and for a redirect that was not followed; its words hold no credential, also
    of the first request, which redirects may have left behind."""
    status = response.status_code
    if status < 300 or status == 304:
        return
    where = shown_url(response.request.url)
    # Blotted out before it is cut: a part of a credential would not be found.
    credentials = credentials_of(request, response.request)
    text = blot_out(body.decode(errors="replace"), credentials).strip()[:TEXT_SHOWN]
    message = f"{where} answered {status}{': ' + text if text else ''}"
    error: NodeError
    if status >= 500 or status in TRANSIENT_STATUSES:
        error = TransientNodeError("http_status", message, retry_after_s(response))
    else:
        error = PermanentNodeError("http_status", message)
    raise error


def read_body(response: httpx.Response, body: bytes) -> Any:
    """Parsed when it is JSON, else text."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return orjson.loads(body) if body else None
        except orjson.JSONDecodeError:
            pass
    try:
        text = body.decode(response.charset_encoding or "utf-8", errors="replace")
    except (LookupError, UnicodeError):
        # It named an encoding that does not exist, or is none of text.
        text = body.decode(errors="replace")
    return text.replace("\x00", "\ufffd")


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.lower() not in HIDDEN_HEADERS}
