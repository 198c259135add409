"""How the client talks over REST: the same requests, each by its route (docs/api.md)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import orjson
from pydantic import BaseModel, ValidationError

from shared.bus.rpc import Reply
from shared.contracts import subjects
from shared.contracts.problems import Problem
from shared.contracts.runs import Run, RunEvent, RunRequested, RunStarted
from shared.contracts.states import RunStatus
from shared.errors import ServiceError, UnavailableError, reported

#: Subject -> method and route. Fields named in the route go there; of a GET the others are the query, of all else
#: the body: `document`, `node` or `edge` where there is one.
ROUTES = {
    subjects.RUNS_GET: ("GET", "/pipeline_runs/{run_id}"),
    subjects.RUNS_LIST: ("GET", "/pipeline_runs"),
    subjects.RUNS_CANCEL: ("POST", "/pipeline_runs/{run_id}/cancel"),
    subjects.RUNS_RELEASE: ("POST", "/pipeline_runs/{run_id}/start"),
    subjects.RUNS_RETRY: ("POST", "/pipeline_runs/{run_id}/retry"),
    subjects.RUNS_AUDIT: ("GET", "/pipeline_runs/{run_id}/audit"),
    subjects.NODE_RESULTS_LIST: ("GET", "/pipeline_runs/{run_id}/node_results"),
    subjects.NODE_RESULTS_GET: ("GET", "/pipeline_runs/{run_id}/node_results/{node_key}"),
    subjects.PIPELINES_APPLY: ("POST", "/pipelines/apply"),
    subjects.PIPELINES_VALIDATE: ("POST", "/pipelines/validate"),
    subjects.PIPELINES_LIST: ("GET", "/pipelines"),
    subjects.PIPELINES_GET: ("GET", "/pipelines/{pipeline}"),
    subjects.PIPELINES_DELETE: ("DELETE", "/pipelines/{pipeline}"),
    subjects.PIPELINES_PUBLISH: ("POST", "/pipelines/{pipeline}/publish"),
    subjects.PIPELINES_ARCHIVE: ("POST", "/pipelines/{pipeline}/archive"),
    subjects.PIPELINES_EXPORT: ("GET", "/pipelines/{pipeline}/export"),
    subjects.VERSIONS_LIST: ("GET", "/pipelines/{pipeline}/versions"),
    subjects.VERSIONS_READ: ("GET", "/pipelines/{pipeline}/versions/{number}"),
    subjects.VERSIONS_PUBLISH: ("POST", "/pipelines/{pipeline}/versions/{number}/publish"),
    subjects.VERSIONS_COMPARE: ("GET", "/pipelines/{pipeline}/versions/{number}/difference"),
    subjects.NODE_TYPES_LIST: ("GET", "/node_types"),
}
#: Fields that have another name, or another form, in the query or the body.
RENAMED = {"other": "to", "new_run_id": "run_id"}
#: The gateway knows who asks by the key.
LEFT_OUT = frozenset({"actor", "if_revision", "include_node_results"})


@asynccontextmanager
async def connect_rest(url: str, api_key: str | None) -> AsyncIterator[RestTransport]:
    """`url` is the gateway's, without `/api/v3`."""
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    base = f"{url.rstrip('/')}/api/v3"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=httpx.Timeout(60.0, connect=5.0)) as client:
        yield RestTransport(client)


class RestTransport:
    """On a client that has the address and the key."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def call(self, subject: str, request: BaseModel, reply: type[Reply], timeout_s: float) -> Reply:
        method, route = ROUTES[subject]
        fields = request.model_dump(mode="json", exclude_none=True)
        query: dict[str, Any] = {"include": "node_results"} if fields.get("include_node_results") else {}
        rest = {RENAMED.get(name, name): value for name, value in fields.items()
                if f"{{{name}}}" not in route and name not in LEFT_OUT}  # fmt: skip
        path = route.format(**{name: fields.get(name) for name in fields})
        if method == "GET":
            return reply.model_validate(await self._send(method, path, query | rest, None, timeout_s))
        body = rest.pop("document", rest)
        answer = await self._send(method, path, query | (rest if body is not rest else {}), body, timeout_s)
        if method == "DELETE":
            return reply.model_construct(slug=fields.get("pipeline"))
        return reply.model_validate(answer)

    async def start(self, request: RunRequested) -> RunStarted:
        body = request.model_dump(mode="json", exclude_none=True, exclude={"pipeline", "traceparent"})
        run = await self._send("POST", f"/pipelines/{request.pipeline}/execute", {}, body, 30.0)
        return RunStarted(run_id=run["id"], status=run["status"])

    async def request(self, request: RunRequested) -> RunStarted:
        """The gateway puts it into the stream by itself when no coordinator answers."""
        return await self.start(request)

    async def events(self, run_id: UUID) -> AsyncGenerator[Run | RunEvent, None]:
        """A stream that is cut is taken up again where it was."""
        last: str | None = None
        while True:
            headers = {"last-event-id": last} if last is not None else {}
            try:
                async with self._client.stream(
                    "GET", f"/pipeline_runs/{run_id}/events", headers=headers, timeout=httpx.Timeout(30.0)
                ) as response:
                    if response.status_code >= 400:
                        raise _refusal(response.status_code, await response.aread())
                    async for kind, number, data in _read(response.aiter_lines()):
                        last = number or last
                        step: Run | RunEvent = (
                            RunEvent.model_validate_json(data) if kind == "change" else Run.model_validate_json(data)
                        )
                        yield step
                        if RunStatus(step.status).is_final:
                            return
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.ReadTimeout):
                continue

    async def _send(self, method: str, path: str, query: dict[str, Any], body: Any, timeout_s: float) -> Any:
        content = orjson.dumps(body) if body is not None else None
        try:
            response = await self._client.request(
                method, path, params=query, content=content, timeout=httpx.Timeout(timeout_s, connect=5.0)
            )
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UnavailableError(
                "gateway_unavailable",
                f"The gateway does not answer: {str(error) or type(error).__name__}. Is its address right?",
            ) from error
        if response.status_code >= 400:
            raise _refusal(response.status_code, response.content)
        return orjson.loads(response.content) if response.content else None


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
            Problem(type="http_error", title="Refused", status=status, detail=f"The gateway answered {status}: {text}")
        )
