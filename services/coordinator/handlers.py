"""Answers to requests: start, read, list and cancel runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import nats.errors
import nats.js.errors

from services.coordinator import views
from services.coordinator.actions import RunActions
from services.coordinator.graph import Graph
from services.coordinator.inputs import needed_nodes
from services.coordinator.requests import start_request
from services.coordinator.starter import Starter
from services.coordinator.store import reading
from services.coordinator.store.acting import load_audit
from services.coordinator.versions import Versions
from shared.bus.pull import Pull
from shared.bus.rpc import Endpoint, PlainReply
from shared.contracts import subjects
from shared.contracts.runs import (
    NodeResultGet,
    NodeResultsList,
    RunAudit,
    RunCancel,
    RunGet,
    RunList,
    RunRelease,
    RunRequested,
    RunRetry,
    RunSettle,
    RunStarted,
)
from shared.contracts.states import RunStatus
from shared.errors import NotFoundError, ServiceError, UnavailableError, did_you_mean
from shared.postgres import Connection, Pool, connection_for


class RunHandlers:
    """One method a subject."""

    def __init__(
        self,
        pool: Pool,
        versions: Versions,
        starter: Starter,
        actions: RunActions,
        requests: Pull,
    ) -> None:
        self._pool = pool
        self._versions = versions
        self._starter = starter
        self._actions = actions
        self._requests = requests

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            subjects.RUNS_START: Endpoint(RunRequested, self.start),
            subjects.RUNS_GET: Endpoint(RunGet, self.get),
            subjects.RUNS_LIST: Endpoint(RunList, self.list_runs),
            subjects.RUNS_CANCEL: Endpoint(RunCancel, self.cancel),
            subjects.RUNS_RELEASE: Endpoint(RunRelease, self.release),
            subjects.RUNS_SETTLE: Endpoint(RunSettle, self.settle),
            subjects.RUNS_RETRY: Endpoint(RunRetry, self.retry),
            subjects.RUNS_AUDIT: Endpoint(RunAudit, self.audit),
            subjects.NODE_RESULTS_LIST: Endpoint(NodeResultsList, self.list_node_results),
            subjects.NODE_RESULTS_GET: Endpoint(NodeResultGet, self.get_node_result),
        }

    async def start(self, request: RunRequested) -> RunStarted:
        """Answers when the run is committed."""
        start = start_request(request, is_from_stream=False)
        self._starter.offer(start)
        return await start.answer

    async def get(self, request: RunGet) -> PlainReply:
        async with self.connection() as connection:
            read = self._read_whole if request.include_node_results else self._read
            return PlainReply(await read(connection, request.run_id))

    async def list_runs(self, request: RunList) -> PlainReply:
        """A page of runs, without their outputs."""
        async with self.connection() as connection:
            rows = await reading.load_runs(connection, request)
            page = rows[: request.limit]
            found = [views.run_view(row) for row in page]
        return PlainReply({"runs": found, "next_after": page[-1]["id"] if len(rows) > len(page) else None})

    async def cancel(self, request: RunCancel) -> PlainReply:
        """From the answer on, nothing of it is begun."""
        async with self.connection() as connection:
            await self._actions.cancel(connection, request, self.missing)
            return PlainReply(await self._read(connection, request.run_id))

    async def release(self, request: RunRelease) -> PlainReply:
        async with self.connection() as connection:
            await self._actions.release(connection, request, self.missing)
            return PlainReply(await self._read(connection, request.run_id))

    async def settle(self, request: RunSettle) -> PlainReply:
        async with self.connection() as connection:
            await self._actions.settle(connection, request, self.missing)
            return PlainReply(await self._read(connection, request.run_id))

    async def retry(self, request: RunRetry) -> PlainReply:
        async with self.connection() as connection:
            new_run_id = await self._actions.retry(connection, request, self.missing)
            return PlainReply(await self._read(connection, new_run_id))

    async def audit(self, request: RunAudit) -> PlainReply:
        async with self.connection() as connection:
            if await reading.load_run(connection, request.run_id) is None:
                raise await self.missing(connection, request.run_id)
            return PlainReply({"audit": await load_audit(connection, request.run_id)})

    async def list_node_results(self, request: NodeResultsList) -> PlainReply:
        async with self.connection() as connection:
            run, graph = await self._run_of(connection, request.run_id)
            keys = await reading.load_page_keys(connection, request) if graph is not None else []
            page = keys[: request.limit]
            found = await self._node_results(connection, run, graph, page) if graph is not None else []
        return PlainReply({"node_results": found, "next_after": page[-1] if len(keys) > len(page) else None})

    async def get_node_result(self, request: NodeResultGet) -> PlainReply:
        async with self.connection() as connection:
            run, graph = await self._run_of(connection, request.run_id)
            if graph is None or request.node_key not in graph.nodes:
                hint = did_you_mean(request.node_key, graph.nodes if graph is not None else ())
                raise NotFoundError("node_not_found", f"Run {request.run_id} has no node '{request.node_key}'.{hint}")
            [found] = await self._node_results(connection, run, graph, [request.node_key])
        return PlainReply(found)

    async def _run_of(self, connection: Connection, run_id: UUID) -> tuple[dict[str, Any], Graph | None]:
        row = await reading.load_run(connection, run_id)
        if row is None:
            raise await self.missing(connection, run_id)
        return row, await self._graph(connection, row)

    async def _node_results(
        self, connection: Connection, run: Mapping[str, Any], graph: Graph, keys: Sequence[str]
    ) -> Sequence[dict[str, Any]]:
        """These nodes, with what their inputs need of others."""
        needed = {other for key in keys for other in needed_nodes(graph, key)}
        nodes = await reading.load_nodes(connection, run["id"], [*needed.union(keys)])
        attempts = await reading.load_attempts(connection, run["id"], keys)
        wanted = set(keys)
        return [view for view in views.node_views(graph, run, nodes, attempts) if view["node_key"] in wanted]

    async def _read(self, connection: Connection, run_id: UUID) -> Mapping[str, Any]:
        """Without its nodes; one that this process saw end in one round trip, since callers wait for it."""
        ended = self._versions.graph_of_ended(str(run_id))
        if ended is not None:
            row, leaves = await reading.load_ended_run(connection, run_id, ended.leaves)
            if row is None:
                raise await self.missing(connection, run_id)
            return views.whole_run_view(ended, row, leaves)
        row, graph = await self._run_of(connection, run_id)
        if graph is None or row["status"] != RunStatus.COMPLETED:
            return views.run_view(row)
        leaves = await reading.load_nodes(connection, run_id, graph.leaves)
        return views.run_view(row, views.run_output(graph, leaves))

    async def _read_whole(self, connection: Connection, run_id: UUID) -> Mapping[str, Any]:
        """Run and nodes as they were at one moment: the snapshot is true for its `seq`."""
        found = await reading.load_whole_run(connection, run_id)
        if found is None:
            raise await self.missing(connection, run_id)
        row, nodes, attempts = found
        graph = await self._graph(connection, row)
        if graph is None:
            return {**views.run_view(row), "node_results": []}
        return {
            **views.whole_run_view(graph, row, nodes),
            "node_results": views.node_views(graph, row, nodes, attempts),
        }

    async def missing(self, connection: Connection, run_id: UUID) -> ServiceError:
        """A run that was asked for through the stream exists as soon as its request is read: not unknown, but late."""
        try:
            is_waiting = not await self._requests.is_drained()
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
            is_waiting = True
        if is_waiting or await reading.load_run(connection, run_id) is not None:
            return UnavailableError(
                "run_not_known_yet",
                f"There is no run {run_id} yet, but requests wait in the stream. Try again in a second.",
                retry_after_s=1.0,
            )
        return NotFoundError("run_not_found", f"There is no run {run_id}. 'pipewright runs list' shows the runs.")

    async def _graph(self, connection: Connection, row: Mapping[str, Any]) -> Graph | None:
        return await self._versions.graph(connection, row["version_id"]) if row["version_id"] else None

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for an answer; when Postgres is away the caller is told so."""
        return connection_for(self._pool)
