"""Finds, from Postgres alone, what should go on but does not; runs in every coordinator, always.

What it looks for: leases that are over, attempts whose message is gone, retries that are due, windows with
room, and runs with nothing in flight. It never sends again merely because something has waited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import nats.errors
import psycopg

from services.coordinator.decision import AttemptRef, Decision, LaneRef, NodeRef
from services.coordinator.dispatch import Dispatch
from services.coordinator.metrics import RESCUES, RUNS_UNFINISHED, SWEEPS_FAILED
from services.coordinator.release import release
from services.coordinator.repair import repair
from services.coordinator.resends import MOST_SENDS, Resends
from services.coordinator.settler import Settler
from services.coordinator.state import Outcome, RunId
from services.coordinator.store import reconciling as store
from services.coordinator.store.settling import load_slice, node_state
from services.coordinator.stream_ages import Ages, StreamAges
from services.coordinator.versions import RunFacts, Versions
from services.coordinator.windows import Windows
from shared.contracts.states import AttemptOutcome, RunStatus
from shared.errors import ServiceError, words_of
from shared.logging import get_logger
from shared.postgres import Pool
from shared.tasks import is_set_within

log = get_logger(__name__)

#: A run without anything in flight for so long is repaired; far longer than any batch takes.
SILENT_S = 15.0
#: How often it is counted what is not finished, and swept though everything is.
COUNT_EVERY_S = 15.0
#: What a sweep may end by, and the next one may not.
PASSING = (psycopg.Error, nats.errors.Error, ServiceError, TimeoutError)
#: Of an attempt whose work was sent again and again.
IN_VAIN = (
    f"Its work was sent {MOST_SENDS + 1} times, and each time it left the stream without a result that can be read. "
    "Look at what DEAD_LETTERS holds of its type."
)
UNFINISHED = (RunStatus.PENDING, RunStatus.RUNNING)
#: The shortest time between two looks for due retries.
SHORTEST_WAIT_S = 0.01


class Reconciler:
    """One sweep every few seconds; replicas pass over what another one holds."""

    def __init__(
        self,
        pool: Pool,
        versions: Versions,
        settler: Settler,
        windows: Windows,
        ages: StreamAges,
        sweep_s: float,
    ) -> None:
        self._pool = pool
        self._versions = versions
        self._settler = settler
        self._windows = windows
        self._ages = ages
        self._sweep_s = sweep_s
        self._resends = Resends()
        self._counted_at = -COUNT_EVERY_S

    async def run(self) -> None:
        """Sweep for ever; an error is told and the next sweep tries again."""
        while True:
            try:
                if self._is_count_due() or await self._is_anything_unfinished():
                    await self.sweep()
            except PASSING as error:
                SWEEPS_FAILED.inc()
                log.warning("a sweep failed", error=words_of(error))
            await asyncio.sleep(self._sweep_s)

    async def release_retries(self) -> None:
        """For ever: wait for the next retry that is due, release it, within milliseconds of its time."""
        while True:
            wait_s: float | None = None
            try:
                async with self._pool.connection() as connection:
                    wait_s = await store.seconds_to_next_retry(connection)
                    due = await store.load_due(connection) if wait_s is not None and wait_s <= 0 else []
                if due:
                    await self._release(due)
            except PASSING as error:
                log.warning("due retries were not released", error=words_of(error))
            await self._sleep_until(wait_s)

    async def _sleep_until(self, wait_s: float | None) -> None:
        """Until the next retry known to Postgres or to this process is due; those that others put off meanwhile are
        theirs, or found as a sweep would."""
        limit_s = min(wait_s if wait_s is not None else self._sweep_s, self._sweep_s)
        retries = self._settler.retry_scheduled
        if await is_set_within(retries, max(SHORTEST_WAIT_S, limit_s)):
            retries.clear()

    async def sweep(self) -> None:
        async with self._pool.connection() as connection:
            expired = await store.load_expired(connection)
        kinds = sorted({*self._windows.sizes(), *(row["node_type"] for row in expired)})
        ages = dict(zip(kinds, await asyncio.gather(*map(self._ages.look, kinds)), strict=True))
        await self._end_expired(expired, ages)
        await self._fill_windows()
        await self._send_lost(ages)
        await self._repair_silent()
        await self._count_unfinished()

    async def _is_anything_unfinished(self) -> bool:
        async with self._pool.connection() as connection:
            return await store.is_anything_unfinished(connection)

    def _is_count_due(self) -> bool:
        return asyncio.get_running_loop().time() - self._counted_at > COUNT_EVERY_S

    async def _count_unfinished(self) -> None:
        """Now and then, since it reads all of them."""
        if not self._is_count_due():
            return
        self._counted_at = asyncio.get_running_loop().time()
        async with self._pool.connection() as connection:
            counts = await store.count_unfinished(connection)
        for status in UNFINISHED:
            RUNS_UNFINISHED.labels(status).set(counts.get(status, 0))

    async def _end_expired(self, expired: Sequence[Mapping[str, Any]], ages: Mapping[str, Ages]) -> None:
        """A lease that is over: the attempt goes back to its queue if its message is there, and ends if that is gone
        and no result is on its way; else it is looked at again."""
        back = {_reference(row) for row in expired if ages[row["node_type"]].is_waiting(row["dispatched_at"])}
        if back:
            async with self._pool.connection() as connection:
                await store.forget_leases(connection, back)
        died = [
            _died(row, "Its worker was not heard of any more.")
            for row in expired
            if _reference(row) not in back and ages[row["node_type"]].is_gone(_reference(row), row["dispatched_at"])
        ]
        await self._give_up(died)

    async def _give_up(self, died: Sequence[Outcome]) -> None:
        if not died:
            return
        log.warning("attempts were given up because their workers died", count=len(died))
        RESCUES.labels("worker_died").inc(len(died))
        for stored in await self._settler.settle(died):
            await self._settler.announce(stored)

    async def _fill_windows(self) -> None:
        sizes = self._windows.sizes()
        async with self._pool.connection() as connection:
            room = await store.load_room(connection, sizes) if sizes else {}
        if room:
            await self._release((), room)

    async def _release(self, due: Iterable[NodeRef], room: dict[LaneRef, int] | None = None) -> None:
        """Send out nodes whose retry is due, and nodes that wait for room where there is some."""
        keys: dict[RunId, set[str]] = {}
        for run_id, key in due:
            keys.setdefault(run_id, set()).add(key)
        for run_id, _ in room or {}:
            keys.setdefault(run_id, set())
        async with self._pool.connection() as connection:
            facts = await self._versions.facts(connection, keys)
            async with connection.transaction():
                free = await store.lock_free_runs(connection, facts)
                graphs = {run_id: facts[run_id].graph for run_id in free}
                lanes = {lane: most for lane, most in (room or {}).items() if lane[0] in free}
                runs = await load_slice(connection, graphs, {run_id: keys[run_id] for run_id in free}, lanes)
                decision = Decision()
                for run in runs.values():
                    ready = [run.nodes[key] for key in sorted(keys[run.id]) if run.nodes[key].is_waiting_for_retry]
                    release(decision, run, ready, self._windows.of)
                stored = await self._settler.store(connection, decision, facts)
        await self._settler.announce(stored)

    async def _send_lost(self, ages: Mapping[str, Ages]) -> None:
        """Attempts whose message is gone without a result: sent again under a new dispatch number."""
        gone = {kind: found.gone_before for kind, found in ages.items() if found.gone_before is not None}
        async with self._pool.connection() as connection:
            found = await store.load_lost(connection, gone) if gone else []
            lost = [row for row in found if _reference(row) not in ages[row["node_type"]].held]
            if not lost:
                return
            in_vain = [row for row in lost if self._resends.are_in_vain(_attempt(row))]
            again = [row for row in lost if row not in in_vain]
            facts = await self._versions.facts(connection, {row["run_id"] for row in again})
            async with connection.transaction():
                free = await store.lock_free_runs(connection, {row["run_id"] for row in again})
                rows = await store.send_again(connection, [row for row in again if row["run_id"] in free])
        await self._give_up([_died(row, IN_VAIN) for row in in_vain])
        if not rows:
            return
        log.warning("work that was lost is sent again", count=len(rows))
        RESCUES.labels("lost").inc(len(rows))
        dispatches = [Dispatch(row[0], node_state(row)) for row in rows]
        if await self._announce_again(dispatches, facts):
            self._resends.count((one.run_id, one.node.key, one.node.attempt) for one in dispatches)

    async def _announce_again(self, dispatches: list[Dispatch], facts: dict[RunId, RunFacts]) -> bool:
        async with self._pool.connection() as connection:
            stored = await self._settler.store(connection, Decision(), facts, again=dispatches)
        return await self._settler.announce(stored)

    async def _repair_silent(self) -> None:
        """Nothing of ours leads here; if it does, the counters are made anew from the node results."""
        async with self._pool.connection() as connection:
            silent = await store.load_silent_runs(connection, SILENT_S)
        for run_id in silent:
            log.error("a run had nothing in flight and is repaired", run_id=run_id)
            RESCUES.labels("silent").inc()
            await self._repair(run_id)

    async def _repair(self, run_id: RunId) -> None:
        async with self._pool.connection() as connection:
            facts = await self._versions.facts(connection, [run_id])
            if run_id not in facts:
                return
            graph = facts[run_id].graph
            async with connection.transaction():
                free = await store.lock_free_runs(connection, [run_id])
                graphs = dict.fromkeys(free, graph)
                runs = await load_slice(connection, graphs, dict.fromkeys(free, graph.nodes), {})
                chosen = await store.load_branches(connection, run_id)
                decision = Decision()
                for run in runs.values():
                    repair(decision, run, chosen, self._windows.of)
                stored = await self._settler.store(connection, decision, facts)
        await self._settler.announce(stored)


def _reference(row: Mapping[str, Any]) -> NodeRef:
    return row["run_id"], row["node_key"]


def _attempt(row: Mapping[str, Any]) -> AttemptRef:
    return row["run_id"], row["node_key"], row["attempt"]


def _died(row: Mapping[str, Any], message: str) -> Outcome:
    return Outcome(
        run_id=row["run_id"],
        node_key=row["node_key"],
        attempt=row["attempt"],
        outcome=AttemptOutcome.WORKER_DIED,
        error={"code": "worker_died", "message": message},
        retryable=True,
        started_at=row.get("started_at"),
    )
