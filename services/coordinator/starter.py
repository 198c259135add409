"""Starts runs, as many as asked for at the same time in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from services.coordinator.answering import answer, answer_existing, answer_unavailable
from services.coordinator.dispatch import Dispatch, Dispatcher
from services.coordinator.memory import RunMemory
from services.coordinator.metrics import RUNS_STARTED, STARTS_REFUSED, reason_label
from services.coordinator.release import first_release, held
from services.coordinator.requests import NAME_LIMIT, StartRequest, check_input, check_request, digest_of
from services.coordinator.state import RunId, RunState
from services.coordinator.store.settling import lanes_json
from services.coordinator.store.starting import insert_runs
from services.coordinator.traces import begin_start
from services.coordinator.versions import RunFacts, Versions
from services.coordinator.windows import Windows
from shared.bus.rpc import Rpc
from shared.contracts import subjects
from shared.contracts.pipelines import ResolvedVersion, VersionsResolve, VersionsResolved
from shared.contracts.problems import NodeProblem
from shared.contracts.states import RunStatus
from shared.errors import ConflictError, InvalidError, ProblemError, ServiceError, UnavailableError, words_of
from shared.logging import get_logger
from shared.postgres import Connection, Pool
from shared.storable import without_zero_character
from shared.tasks import logged

log = get_logger(__name__)

#: Starts in one transaction.
BATCH = 200
#: An announcement that takes longer is left to the reconcilers.
DRAIN_S = 10.0
#: Some seconds of work. Whoever comes later is told at once to come again, not after having waited in vain.
MOST_WAITING = 1000


class Starter:
    """Takes start requests one by one and settles them in batches."""

    def __init__(
        self,
        pool: Pool,
        rpc: Rpc,
        versions: Versions,
        memory: RunMemory,
        dispatcher: Dispatcher,
        windows: Windows,
    ) -> None:
        self._pool = pool
        self._rpc = rpc
        self._versions = versions
        self._memory = memory
        self._dispatcher = dispatcher
        self._windows = windows
        self._waiting: asyncio.Queue[StartRequest] = asyncio.Queue(MOST_WAITING)
        self._announcing: set[asyncio.Task[None]] = set()

    def offer(self, request: StartRequest) -> None:
        """For who waits for the answer; raises UnavailableError when too many wait already."""
        try:
            self._waiting.put_nowait(request)
        except asyncio.QueueFull:
            STARTS_REFUSED.labels("overloaded").inc()
            raise UnavailableError(
                "overloaded", f"{MOST_WAITING} runs wait to be started. Try again in a few seconds.", retry_after_s=2.0
            ) from None

    async def put(self, request: StartRequest) -> None:
        """For what waits in the stream: returns when there is room."""
        await self._waiting.put(request)

    async def run(self) -> None:
        """For ever: take all requests that wait, start their runs, answer each."""
        while True:
            requests = [await self._waiting.get()]
            while len(requests) < BATCH and not self._waiting.empty():
                requests.append(self._waiting.get_nowait())
            await self._start_or_refuse(requests)

    async def drain(self) -> None:
        """Wait until what was started is announced."""
        if self._announcing:
            await asyncio.wait(self._announcing, timeout=DRAIN_S)

    async def _start_or_refuse(self, requests: Sequence[StartRequest]) -> None:
        try:
            await self._start(requests)
        except (psycopg.OperationalError, psycopg.errors.DeadlockDetected) as error:
            log.warning("Postgres did not take new runs", error=words_of(error))
            answer_unavailable(requests)
        except UnavailableError as error:
            for request in requests:
                answer(request, error)
        except Exception as error:
            # Whatever it is, it may be about one of them, and the others are none the worse.
            if len(requests) > 1:
                for request in requests:
                    await self._start_or_refuse([request])
            else:
                answer(requests[0], _error_of(error))

    async def _start(self, requests: Sequence[StartRequest]) -> None:
        async with self._pool.connection() as connection:
            await self._resolve(connection, requests)
            makers = _makers(requests)
            runs = {run_id: self._new_run(request) for run_id, request in makers.items() if request.graph is not None}
            spans = [begin_start(request) for request in requests]
            rows = [_row(request, runs.get(run_id)) for run_id, request in makers.items()]
            windows = {kind: self._windows.of(kind) for kind in _types(runs.values())}
            inserted = await insert_runs(connection, rows, windows, runs.values()) if rows else {}
            for span in spans:
                span.end()
            made = {run_id: makers[run_id] for run_id in inserted}
            # Their nodes are on their way before those who wait for answers have their turn.
            self._begin(made, runs, inserted)
            for request in made.values():
                answer(request, None)
            await answer_existing(connection, [one for one in requests if made.get(one.run_id) is not one])
        RUNS_STARTED.inc(len(inserted))
        for request in requests:
            if request.refusal is not None:
                STARTS_REFUSED.labels(reason_label(request.refusal.problem.type)).inc()
            if request.refusal is not None and made.get(request.run_id) is request:
                self._dispatcher.announce_refused(request.run_id, request.pipeline_id, _problem(request.refusal))

    def _begin(
        self,
        made: Mapping[RunId, StartRequest],
        runs: Mapping[RunId, RunState],
        began: Mapping[RunId, datetime | None],
    ) -> None:
        """Remember and announce those of the runs made that have begun."""
        started = {}
        for run_id, request in made.items():
            run, at = runs.get(run_id), began[run_id]
            if run is not None and at is not None:
                asked = request.request
                facts = RunFacts(run.graph, asked.input, at, request.traceparent, asked.is_awaited)
                self._versions.remember(run.id, facts)
                self._memory.begin(run)
                started[run.id] = (run, facts)
        if started:
            task = logged(self._announce(started))
            self._announcing.add(task)
            task.add_done_callback(self._announcing.discard)

    async def _resolve(self, connection: Connection, requests: Sequence[StartRequest]) -> None:
        """Give each request its graph, or its refusal."""
        sound = [request for request in requests if _is_sound(request)]
        found = await self._ask_versions({request.request.pipeline for request in sound})
        for request in sound:
            resolved = found[request.request.pipeline]
            try:
                if resolved.error is not None:
                    raise ProblemError(resolved.error)
                assert resolved.version_id is not None
                graph = await self._versions.graph(connection, resolved.version_id)
                request.digest = _digest(request, str(graph.pipeline_id))
                request.pipeline_id = graph.pipeline_id
                check_input(request.request.input, graph)
                request.graph = graph
            except ServiceError as error:
                if error.problem.status >= ServiceError.status:
                    raise
                request.refuse(error)

    async def _ask_versions(self, pipelines: set[str]) -> dict[str, ResolvedVersion]:
        """By name."""
        if not pipelines:
            return {}
        wanted = VersionsResolve(pipelines=sorted(pipelines))
        reply = await self._rpc.call(subjects.VERSIONS_RESOLVE, wanted, VersionsResolved, timeout_s=5.0)
        return {resolved.pipeline: resolved for resolved in reply.versions}

    def _new_run(self, request: StartRequest) -> RunState:
        assert request.graph is not None
        if request.request.hold:
            return held(request.run_id, request.graph)
        return first_release(request.run_id, request.graph, self._windows.of)

    async def _announce(self, started: Mapping[RunId, tuple[RunState, RunFacts]]) -> None:
        dispatches = [Dispatch(run.id, node) for run, _ in started.values() for node in run.nodes.values()]
        facts = {run_id: facts for run_id, (_, facts) in started.items()}
        runs = [run for run, _ in started.values()]
        sent = await self._dispatcher.send(dispatches, facts, {})
        self._dispatcher.announce_started(runs)
        await sent.is_stored()


def _makers(requests: Sequence[StartRequest]) -> dict[RunId, StartRequest]:
    """The request that may make each run: of those with one id the first, the others ask for what is there."""
    makers: dict[RunId, StartRequest] = {}
    for request in requests:
        if request.refusal is None or request.is_from_stream:
            makers.setdefault(request.run_id, request)
    return makers


def _types(runs: Iterable[RunState]) -> set[str]:
    graphs = {run.graph.version_id: run.graph for run in runs}
    return {node.type for graph in graphs.values() for node in graph.nodes.values()}


def _is_sound(request: StartRequest) -> bool:
    """False for one that is refused before anybody is asked about it."""
    request.graph, request.refusal = None, None
    try:
        check_request(request.request)
        request.digest = _digest(request, request.request.pipeline)
    except InvalidError as error:
        request.digest = digest_of(request.request.pipeline, {})
        request.refuse(error)
    return request.refusal is None


def _digest(request: StartRequest, pipeline: str) -> str:
    return digest_of(pipeline, request.request.input, hold=request.request.hold)


def _error_of(error: Exception) -> ServiceError:
    """What is told of a single request that could not be started."""
    if isinstance(error, ServiceError) and error.problem.status >= ServiceError.status:
        # A fault of the definition service passes, and says nothing of the request.
        return UnavailableError("not_started", error.problem.detail, retry_after_s=2.0)
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, psycopg.DataError):
        return ConflictError("unstorable_input", f"Postgres cannot store this: {error}")
    log.error("a run could not be started", exc_info=error)
    return ServiceError(
        "internal_error", "The run could not be started because of a fault. The coordinator's log says more."
    )


def _row(request: StartRequest, run: RunState | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": request.run_id,
        "input": request.request.input,
        "idempotency_key": without_zero_character(request.request.idempotency_key or "") or None,
        "request_sha256": request.digest,
        "traceparent": request.traceparent,
    }
    if run is not None:
        return row | {
            "pipeline_id": run.graph.pipeline_id,
            "pipeline_slug": run.graph.pipeline_slug,
            "version_id": run.graph.version_id,
            "status": run.status,
            "unfinished": run.unfinished,
            "lanes": lanes_json(run.lanes),
        }
    assert request.refusal is not None
    return row | {
        "pipeline_id": request.pipeline_id,
        "pipeline_slug": without_zero_character(request.request.pipeline)[:NAME_LIMIT],
        "status": RunStatus.FAILED,
        # A refused input may hold what cannot be stored; the error says what it was.
        "input": {},
        "unfinished": 0,
        "lanes": {},
        "error": _problem(request.refusal).model_dump(exclude_none=True),
    }


def _problem(refusal: ServiceError) -> NodeProblem:
    return NodeProblem(code=refusal.problem.type, message=refusal.problem.detail)
