"""The client: starts, follows and ends runs and keeps pipelines, with the same methods over NATS and over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats.aio.client import Client

from shared.client_keys import KeyCalls
from shared.client_nats import NatsTransport, connect_nats
from shared.client_pipelines import PipelineCalls
from shared.client_rest import connect_rest
from shared.client_runs import RunCalls
from shared.client_webhooks import WebhookCalls


class PipewrightClient(PipelineCalls, RunCalls, WebhookCalls, KeyCalls):
    """Talks to a running Pipewright. Raises ProblemError when it refuses, UnavailableError when none answers."""

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, api_key: str | None = None) -> AsyncIterator[PipewrightClient]:
        """`nats://user:password@host:4222` for a service inside; `https://host` and an API key for any other."""
        connecting = connect_rest(url, api_key) if url.startswith(("http://", "https://")) else connect_nats(url)
        async with connecting as transport:
            yield cls(transport)

    @property
    def nats(self) -> Client:
        """The connection of a client over NATS."""
        if not isinstance(self._transport, NatsTransport):
            raise TypeError("a client over REST has no connection to NATS")
        return self._transport.client
