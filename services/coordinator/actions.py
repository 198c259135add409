"""What people do to runs: start one that is held, end one, run one again; each with its audit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from services.coordinator.allowed import ACTIONS, check_allowed
from services.coordinator.decision import Decision
from services.coordinator.dispatch import Dispatcher
from services.coordinator.ended_runs import EndedRuns
from services.coordinator.graph import Graph
from services.coordinator.metrics import count_ends
from services.coordinator.repair import repair
from services.coordinator.requests import another_body, retry_digest_of
from services.coordinator.retrying import kept_nodes
from services.coordinator.settler import Settler, Stored
from services.coordinator.state import RunState
from services.coordinator.store import acting
from services.coordinator.store.reconciling import load_branches
from services.coordinator.store.settling import closing, load_slice
from services.coordinator.store.starting import find_by_id, insert_runs
from services.coordinator.store.together import execute_together
from services.coordinator.versions import Versions
from services.coordinator.windows import Windows
from shared.clock import new_id
from shared.contracts.problems import NodeProblem
from shared.contracts.runs import RunCancel, RunRelease, RunRetry, RunSettle
from shared.contracts.states import NodeStatus, RunStatus
from shared.errors import ConflictError, ServiceError, UnavailableError
from shared.postgres import Connection

#: Makes the error for a run that is not there.
Missing = Callable[[Connection, UUID], Awaitable[ServiceError]]


class RunActions:
    """Every change is committed before it is told; the run's lock is taken first."""

    def __init__(
        self,
        versions: Versions,
        settler: Settler,
        dispatcher: Dispatcher,
        windows: Windows,
        ended_runs: EndedRuns,
    ) -> None:
        self._versions = versions
        self._settler = settler
        self._dispatcher = dispatcher
        self._windows = windows
        self._ended_runs = ended_runs

    async def cancel(self, connection: Connection, request: RunCancel, missing: Missing) -> None:
        """Commit, tell the workers, then return; cancelling twice is cancelling once, and tells them again.

        Raises UnavailableError when the workers could not be told: the run is cancelled then all the same.
        """
        await self._end(connection, "cancel", request, None, request.reason, missing)

    async def settle(self, connection: Connection, request: RunSettle, missing: Missing) -> None:
        """End it by hand, as completed or failed."""
        action = "complete" if request.status == "completed" else "fail"
        error = NodeProblem(code="failed_by_hand", message=request.reason) if action == "fail" else None
        await self._end(connection, action, request, error, request.reason, missing)

    async def _end(
        self,
        connection: Connection,
        action: str,
        request: RunCancel | RunSettle,
        error: NodeProblem | None,
        reason: str | None,
        missing: Missing,
    ) -> None:
        run_id, ends_as = request.run_id, ACTIONS[action][1]
        shown = error.model_dump(exclude_none=True) if error is not None else None
        seq: int | None = None
        self._settler.memory.forget([str(run_id)])
        async with connection.transaction():
            status = await self._lock(connection, run_id, missing)
            if action != "cancel" or status is not ends_as:
                check_allowed(action, str(run_id), status)
                seq = await acting.end_run(connection, run_id, ends_as, shown)
                await execute_together(connection, [closing([str(run_id)])])
                await acting.add_audit(connection, run_id, action, request.actor, reason)
        is_told = await self._ended_runs.put([(str(run_id), ends_as)])
        if seq is not None:
            count_ends(ends_as)
            self._settler.deliveries_made.set()
            await self._tell_end(connection, run_id, ends_as, seq, shown)
        if action == "cancel" and not is_told:
            raise _not_told(run_id)

    async def _tell_end(
        self, connection: Connection, run_id: UUID, status: RunStatus, seq: int, error: dict[str, object] | None
    ) -> None:
        row = await acting.load_for_retry(connection, run_id)
        assert row is not None
        graph = await self._versions.graph(connection, row["version_id"])
        decision = Decision()
        decision.end(RunState(str(run_id), graph, status, row["unfinished"], seq, {}), status, error)
        self._dispatcher.announce_changes(decision, {})

    async def release(self, connection: Connection, request: RunRelease, missing: Missing) -> None:
        """A held run begins."""
        async with connection.transaction():
            check_allowed("start", str(request.run_id), await self._lock(connection, request.run_id, missing))
            await acting.start_run(connection, request.run_id)
            await acting.add_audit(connection, request.run_id, "start", request.actor)
            stored = await self._begin(connection, request.run_id)
        await self._settler.announce(stored)

    async def retry(self, connection: Connection, request: RunRetry, missing: Missing) -> UUID:
        """A new run of the same version with the same input; returns its id. Another run under that id is refused."""
        new_run_id = request.new_run_id or new_id()
        async with connection.transaction():
            check_allowed("retry", str(request.run_id), await self._lock(connection, request.run_id, missing))
            old = await acting.load_for_retry(connection, request.run_id)
            assert old is not None
            if old["version_id"] is None:
                raise ConflictError(
                    "never_started",
                    f"Run {request.run_id} could not start, so nothing can be repeated. Start a new run.",
                )
            graph = await self._versions.graph(connection, old["version_id"])
            row = {
                **{key: old[key] for key in ("pipeline_id", "pipeline_slug", "version_id", "input", "traceparent")},
                "id": new_run_id,
                "request_sha256": retry_digest_of(request.run_id, request.start_from),
                "status": RunStatus.PENDING,
                "unfinished": len(graph.nodes),
                "lanes": {},
            }
            windows = {node.type: self._windows.of(node.type) for node in graph.nodes.values()}
            if str(new_run_id) not in await insert_runs(connection, [row], windows):
                await _check_same(connection, new_run_id, row["request_sha256"])
                return new_run_id
            await acting.mark_retry(connection, new_run_id, request.run_id)
            if request.start_from == "failed":
                keys = await self._kept(connection, request.run_id, graph)
                await acting.keep_nodes(connection, new_run_id, request.run_id, keys)
            await acting.add_audit(connection, request.run_id, "retry", request.actor, f"as run {new_run_id}")
            await acting.start_run(connection, new_run_id)
            stored = await self._begin(connection, new_run_id)
        await self._settler.announce(stored)
        return new_run_id

    async def _kept(self, connection: Connection, run_id: UUID, graph: Graph) -> list[str]:
        rows = await acting.load_statuses(connection, run_id)
        statuses = {row["node_key"]: NodeStatus(row["status"]) for row in rows}
        return kept_nodes(graph, statuses, {row["node_key"]: row["branch"] for row in rows})

    async def _begin(self, connection: Connection, run_id: UUID) -> Stored:
        """Release what is ready, from how the nodes of the run are now."""
        name = str(run_id)
        facts = await self._versions.facts(connection, [name])
        graph = facts[name].graph
        runs = await load_slice(connection, {name: graph}, {name: graph.nodes}, {})
        decision = Decision()
        repair(decision, runs[name], await load_branches(connection, name), self._windows.of)
        return await self._settler.store(connection, decision, facts)

    async def _lock(self, connection: Connection, run_id: UUID, missing: Missing) -> RunStatus:
        status = await acting.lock_run(connection, run_id)
        if status is None:
            raise await missing(connection, run_id)
        return status


def _not_told(run_id: UUID) -> UnavailableError:
    return UnavailableError(
        "workers_not_told",
        f"Run {run_id} is cancelled, but the workers could not be told, and may begin what they have. "
        "Cancel it again in a few seconds.",
        retry_after_s=2.0,
    )


async def _check_same(connection: Connection, run_id: UUID, digest: str) -> None:
    """Raises ConflictError when the run that is there was asked for in other words."""
    rows = await find_by_id(connection, [str(run_id)])
    if not rows or bytes(rows[0]["request_sha256"]).hex() != digest:
        raise another_body(str(run_id), "run_id")
