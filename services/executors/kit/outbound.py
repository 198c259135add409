"""The client of all outbound requests, and what its errors mean for a node."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from services.executors.kit.addresses import AllowedAddresses
from services.executors.kit.errors import PermanentNodeError, TransientNodeError
from services.executors.kit.guard import AddressRefusedError
from services.executors.kit.transport import GuardedTransport

CONNECT_TIMEOUT_S = 10.0
#: What an answer's body may be packed with.
ENCODINGS = ("", "identity", "gzip", "deflate")


def guarded_client(allowed: AllowedAddresses) -> httpx.AsyncClient:
    """A client that follows no redirect by itself, trusts nothing of the environment and keeps no cookies,
    which one run would otherwise send for another."""
    no_cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(
        cookies=no_cookies,
        transport=GuardedTransport(allowed),
        follow_redirects=False,
        trust_env=False,
        timeout=httpx.Timeout(60.0, connect=CONNECT_TIMEOUT_S),
        headers={"user-agent": "pipewright", "accept-encoding": "gzip, deflate"},
    )


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


def as_node_error(error: Exception, url: httpx.URL) -> PermanentNodeError | TransientNodeError:
    """A failure on the way, in words."""
    where = shown_url(url)
    if isinstance(error, AddressRefusedError):
        return PermanentNodeError("address_refused", f"{where} was refused: {error}")
    if isinstance(error, httpx.LocalProtocolError):
        return PermanentNodeError("invalid_request", f"Nothing was sent to {where}: {error}. Check its headers.")
    if isinstance(error, httpx.TimeoutException):
        return TransientNodeError("timed_out", f"{where} did not answer in time: {error}")
    if isinstance(error, httpx.ConnectError):
        return TransientNodeError(
            "unreachable", f"{where} could not be reached: {error}. Check the address and that it is up."
        )
    return TransientNodeError("connection_failed", f"The exchange with {where} broke off: {error}")


def retry_after_s(response: httpx.Response) -> float | None:
    """The seconds of a Retry-After header, if it has them."""
    value = response.headers.get("retry-after", "")
    return min(float(value), 3600.0) if value.isascii() and value.isdigit() else None
