"""The client of all outbound requests, and what its errors mean for a node."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self, TypeVar

import httpx

from services.executors.kit.addresses import AllowedAddresses
from services.executors.kit.credentials import basic_credentials, blot_out, credentials_of
from services.executors.kit.errors import PermanentNodeError, TransientNodeError
from services.executors.kit.guard import AddressRefusedError
from services.executors.kit.transport import GuardedTransport

Read = TypeVar("Read")

CONNECT_TIMEOUT_S = 10.0
#: Nobody is waited for longer, whatever it asks.
MOST_RETRY_AFTER_S = 3600.0
#: What an answer's body may be packed with.
ENCODINGS = ("", "identity", "gzip", "deflate")
OWN_HEADERS = {"user-agent": "pipewright", "accept": "*/*", "accept-encoding": "gzip, deflate"}


class OutboundClient:
    """Builds and sends httpx's requests, by its transport alone: nothing follows redirects by itself, trusts the
    environment or keeps cookies, which one run would otherwise send for another."""

    def __init__(self, allowed: AllowedAddresses) -> None:
        self._transport = GuardedTransport(allowed)

    def build_request(
        self,
        method: str,
        url: httpx.URL,
        *,
        headers: dict[str, str],
        content: bytes | None = None,
        timeout_s: float,
    ) -> httpx.Request:
        """`timeout_s` bounds each silence; user and password of the URL become a header."""
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S))
        sent = OWN_HEADERS | headers | authorization_of(url)
        return httpx.Request(method, url, headers=sent, content=content, extensions={"timeout": timeout.as_dict()})

    async def exchange(
        self, request: httpx.Request, read: Callable[[httpx.Response], Awaitable[Read]]
    ) -> tuple[httpx.Response, Read]:
        """One request, and what `read` makes of its answer's body; raises NodeError when either fails on the way."""
        try:
            response = await self._transport.handle_async_request(request)
            try:
                return response, await read(response)
            finally:
                await response.aclose()
        except (httpx.HTTPError, AddressRefusedError) as error:
            raise as_node_error(error, request) from error

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def authorization_of(url: httpx.URL) -> dict[str, str]:
    """The header by which its user and password are sent, if it has any."""
    return {"authorization": f"Basic {basic_credentials(url)}"} if url.userinfo else {}


def shown_url(url: httpx.URL) -> str:
    """The URL without credentials and query, for errors and logs."""
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))


def check_url(url: httpx.URL) -> None:
    """Raises httpx.InvalidURL when the URL can be read and yet leads nowhere."""
    try:
        host = url.host
    except UnicodeError as error:
        raise httpx.InvalidURL("its host is not a name") from error
    if not host:
        raise httpx.InvalidURL("it has no host")
    if url.port is not None and not 0 < url.port < 65536:
        raise httpx.InvalidURL(f"its port {url.port} does not exist")


def check_encoding(response: httpx.Response) -> None:
    """Refuse what can become far larger than it is: each layer of gzip multiplies by up to a thousand, at once."""
    layers = response.headers.get_list("content-encoding", split_commas=True)
    if len(layers) > 1 or any(layer.strip().lower() not in ENCODINGS for layer in layers):
        raise PermanentNodeError(
            "encoding_refused",
            f"{shown_url(response.request.url)} sent its answer in the encoding '{', '.join(layers)[:100]}'. "
            "Only gzip and deflate are read, one of them at a time.",
        )


def as_node_error(error: Exception, request: httpx.Request) -> PermanentNodeError | TransientNodeError:
    """A failure on the way, in words; a client's words may quote what the other side sent."""
    where, words = shown_url(request.url), blot_out(str(error), credentials_of(request))
    if isinstance(error, AddressRefusedError):
        return PermanentNodeError("address_refused", f"{where} was refused: {words}")
    if isinstance(error, httpx.LocalProtocolError):
        return PermanentNodeError("invalid_request", f"Nothing was sent to {where}: {words}. Check its headers.")
    if isinstance(error, httpx.TimeoutException):
        return TransientNodeError("timed_out", f"{where} did not answer in time: {words}")
    if isinstance(error, httpx.ConnectError):
        return TransientNodeError(
            "unreachable", f"{where} could not be reached: {words}. Check the address and that it is up."
        )
    return TransientNodeError("connection_failed", f"The exchange with {where} broke off: {words}")


def retry_after_s(response: httpx.Response) -> float | None:
    """How long a Retry-After header asks to wait: seconds, or a date, by the other side's clock if it tells."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MOST_RETRY_AFTER_S)
    until = _date(value)
    if until is None:
        return None
    now = _date(response.headers.get("date", "")) or datetime.now(UTC)
    return min(max(0.0, math.ceil((until - now).total_seconds())), MOST_RETRY_AFTER_S)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
