"""Answers to requests: start, read, list and cancel runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import nats.errors
import nats.js.errors
import psycopg

from services.coordinator import views
from services.coordinator.decision import Decision
from services.coordinator.dispatch import Dispatcher
from services.coordinator.ended_runs import EndedRuns
from services.coordinator.graph import Graph
from services.coordinator.requests import start_request
from services.coordinator.starter import Starter
from services.coordinator.state import RunId, RunState
from services.coordinator.store import reading
from services.coordinator.store.settling import close_nodes
from services.coordinator.versions import Versions
from shared.bus.pull import Pull
from shared.bus.rpc import Endpoint, PlainReply
from shared.contracts import subjects
from shared.contracts.runs import RunCancel, RunGet, RunList, RunRequested, RunStarted
from shared.contracts.states import RunStatus
from shared.errors import ConflictError, NotFoundError, ServiceError, UnavailableError
from shared.postgres import Connection, Pool


class RunHandlers:
    """One method a subject."""

    def __init__(
        self,
        pool: Pool,
        versions: Versions,
        starter: Starter,
        dispatcher: Dispatcher,
        ended_runs: EndedRuns,
        requests: Pull,
    ) -> None:
        self._pool = pool
        self._versions = versions
        self._starter = starter
        self._dispatcher = dispatcher
        self._ended_runs = ended_runs
        self._requests = requests

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            subjects.RUNS_START: Endpoint(RunRequested, self.start),
            subjects.RUNS_GET: Endpoint(RunGet, self.get),
            subjects.RUNS_LIST: Endpoint(RunList, self.list),
            subjects.RUNS_CANCEL: Endpoint(RunCancel, self.cancel),
        }

    async def start(self, request: RunRequested) -> RunStarted:
        """Answers when the run is committed."""
        start = start_request(request, is_from_stream=False)
        await self._starter.put(start)
        return await start.answer

    async def get(self, request: RunGet) -> PlainReply:
        async with self._connection() as connection:
            return PlainReply(await self._read(connection, request.run_id, request.include_node_results))

    async def list(self, request: RunList) -> PlainReply:
        """A page of runs, without their outputs."""
        async with self._connection() as connection:
            rows = await reading.load_runs(connection, request)
            page = rows[: request.limit]
            found = [views.run_view(row, await self._graph(connection, row)) for row in page]
        return PlainReply({"runs": found, "next_after": page[-1]["id"] if len(rows) > len(page) else None})

    async def cancel(self, request: RunCancel) -> PlainReply:
        """Commit, tell the workers, then answer."""
        async with self._connection() as connection:
            async with connection.transaction():
                status = await reading.lock_run(connection, request.run_id)
                if status is None:
                    raise await self._missing(connection, request.run_id)
                if status is not RunStatus.CANCELLED:
                    if status.is_final:
                        raise ConflictError(
                            "run_has_ended",
                            f"Run {request.run_id} is {status}; only a run that goes on can be cancelled.",
                        )
                    seq = await reading.cancel_run(connection, request.run_id)
                    await close_nodes(connection, [str(request.run_id)])
            if status is not RunStatus.CANCELLED:
                await self._ended_runs.put([(str(request.run_id), RunStatus.CANCELLED)])
                await self._tell_cancelled(connection, str(request.run_id), seq)
            return PlainReply(await self._read(connection, request.run_id, False))

    async def _tell_cancelled(self, connection: Connection, run_id: RunId, seq: int) -> None:
        facts = (await self._versions.facts(connection, [run_id])).get(run_id)
        if facts is not None:
            run = RunState(run_id, facts.graph, RunStatus.CANCELLED, 0, seq, {})
            await self._dispatcher.announce_changes(Decision(runs={run_id: run}))

    async def _read(self, connection: Connection, run_id: UUID, is_whole: bool) -> Mapping[str, Any]:
        row = await reading.load_run(connection, run_id)
        if row is None:
            raise await self._missing(connection, run_id)
        graph = await self._graph(connection, row)
        if graph is None:
            return {**views.run_view(row, None), "node_results": [] if is_whole else None}
        is_completed = row["status"] == RunStatus.COMPLETED
        if not is_whole:
            leaves = await reading.load_nodes(connection, run_id, graph.leaves) if is_completed else []
            return views.run_view(row, graph, views.run_output(graph, leaves) if is_completed else None)
        nodes = await reading.load_nodes(connection, run_id)
        attempts = await reading.load_attempts(connection, run_id)
        return {
            **views.run_view(row, graph, views.run_output(graph, nodes) if is_completed else None),
            "node_results": views.node_views(graph, row, nodes, attempts),
        }

    async def _missing(self, connection: Connection, run_id: UUID) -> ServiceError:
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

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """A connection for an answer; when Postgres is away the caller is told so."""
        try:
            async with self._pool.connection() as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise _no_database() from error


def _no_database() -> UnavailableError:
    return UnavailableError(
        "database_unavailable",
        "The database is not available now. Try again in a few seconds.",
        retry_after_s=2.0,
    )
