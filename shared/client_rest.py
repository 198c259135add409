"""How the client talks over REST: the same requests, each by its route (docs/api.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import orjson
from pydantic import BaseModel, ValidationError

from shared.client_routes import RestRequest, rest_request
from shared.contracts import subjects
from shared.contracts.problems import Problem
from shared.contracts.rest import path_to
from shared.contracts.runs import Run, RunEvent, RunRequested, RunStarted
from shared.contracts.states import RunStatus
from shared.errors import ServiceError, UnavailableError, reported, words_of

#: Before a stream that was cut is taken up again; doubled each time, so that a gateway which is away is left alone.
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0


@asynccontextmanager
async def connect_rest(url: str, api_key: str | None) -> AsyncIterator[RestTransport]:
    """`url` is the gateway's alone."""
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = httpx.Timeout(60.0, connect=5.0)
    async with httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=timeout) as client:
        yield RestTransport(client)


class RestTransport:
    """On a client that has the address and the key."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def call(self, subject: str, request: BaseModel, timeout_s: float) -> Any:
        """None where the answer has no body."""
        return await self.send(rest_request(subject, request.model_dump(mode="json", exclude_none=True)), timeout_s)

    async def start(self, request: RunRequested) -> RunStarted:
        # The gateway is told of these by a header, and by its query.
        fields = request.model_dump(mode="json", exclude_none=True, exclude={"traceparent", "is_awaited"})
        run = await self.send(rest_request(subjects.RUNS_START, fields), 30.0)
        return RunStarted(run_id=run["id"], status=run["status"])

    async def request(self, request: RunRequested) -> RunStarted:
        """The gateway puts it into the stream by itself when no coordinator answers."""
        return await self.start(request)

    async def events(self, run_id: UUID) -> AsyncGenerator[Run | RunEvent, None]:
        """A stream that is cut is taken up again where it was, and waited for while the gateway is away."""
        last: str | None = None
        pause_s = FIRST_PAUSE_S
        is_known = False
        while True:
            try:
                async for number, step in self._stream(run_id, last):
                    is_known, last, pause_s = True, number or last, FIRST_PAUSE_S
                    yield step
                    if RunStatus(step.status).is_final:
                        return
            except UnavailableError:
                if not is_known:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _stream(self, run_id: UUID, last: str | None) -> AsyncIterator[tuple[str | None, Run | RunEvent]]:
        """Until it is cut; raises UnavailableError when that was by trouble."""
        headers = {"last-event-id": last} if last is not None else {}
        path = path_to("pipeline_runs", run_id, "events")
        try:
            async with self._client.stream("GET", path, headers=headers, timeout=httpx.Timeout(30.0)) as response:
                if response.status_code >= 400:
                    raise _refusal(response.status_code, await response.aread())
                async for kind, number, data in _read(response.aiter_lines()):
                    model = RunEvent if kind == "change" else Run
                    yield number, model.model_validate_json(data)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _away(error) from error

    async def send(self, request: RestRequest, timeout_s: float = 30.0) -> Any:
        content = orjson.dumps(request.body) if request.body is not None else None
        try:
            response = await self._client.request(
                request.method,
                request.path,
                params=request.query,
                content=content,
                headers=request.headers,
                timeout=httpx.Timeout(timeout_s, connect=5.0),
            )
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _away(error) from error
        if response.status_code >= 300:
            raise _refusal(response.status_code, response.content)
        return orjson.loads(response.content) if response.content else None


def _away(error: Exception) -> UnavailableError:
    return UnavailableError(
        "gateway_unavailable",
        f"The gateway does not answer: {words_of(error)}. Is its address right?",
    )


async def _read(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, str | None, str]]:
    """Kind, id and data of each snapshot and change; what comes between them is passed over."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if fields.get("event") in ("snapshot", "change", "end"):
            yield fields["event"], fields.get("id"), fields["data"]
        fields = {}


def _refusal(status: int, body: bytes) -> ServiceError:
    """The gateway's problem, or that of whoever answered in its place."""
    try:
        return reported(Problem.model_validate_json(body))
    except ValidationError:
        text = body[:200].decode(errors="replace")
        return reported(
            Problem(
                type="http_error",
                title="Refused",
                status=max(400, status),
                detail=f"The gateway answered {status}: {text}",
            )
        )
