"""Settles outcomes, whoever says them: load, decide, store, announce; one transaction a batch."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson
import psycopg
from psycopg import errors as postgres_errors

from services.coordinator.awaited import awaited_ends, shown_ends
from services.coordinator.decision import Decision, LaneRef, NodeRef
from services.coordinator.dispatch import Dispatch, Dispatcher, Sent
from services.coordinator.ended_runs import EndedRuns
from services.coordinator.inputs import Ended
from services.coordinator.large_inputs import LargeInputs, ends_of
from services.coordinator.memory import RunMemory
from services.coordinator.metrics import SETTLE_SECONDS, SETTLES_READ, count
from services.coordinator.results import strip
from services.coordinator.state import Outcome, RunId
from services.coordinator.store.settling import load_slice, save
from services.coordinator.store.together import BEGIN
from services.coordinator.traces import settling, tell_ends
from services.coordinator.transitions import keys_to_load, settle
from services.coordinator.versions import RunFacts, Versions
from services.coordinator.windows import Windows
from shared.contracts.states import NodeStatus
from shared.errors import words_of
from shared.logging import get_logger
from shared.postgres import Connection, Pool
from shared.storable import INLINE_LIMIT

log = get_logger(__name__)

#: Outcomes that one transaction settles at the most.
BATCH = 500
#: Errors that go away when the same transaction is tried again.
PASSING = (psycopg.OperationalError, postgres_errors.DeadlockDetected, postgres_errors.SerializationFailure)
#: Errors of a statement with too much in it: these stay, though psycopg counts them among those of the server.
TOO_MUCH = (postgres_errors.ProgramLimitExceeded, postgres_errors.StatementTooComplex)
#: It took longer than `statement_timeout`: less at once may help; a single one waits for whoever holds its run.
TOO_SLOW = (postgres_errors.QueryCanceled,)
#: Errors of what is to be stored: trying the same again changes nothing.
REFUSED = (psycopg.DataError, psycopg.IntegrityError, *TOO_MUCH, *TOO_SLOW, orjson.JSONEncodeError)
RETRY_DELAY_S = 0.5
#: So many nodes leave before anything else is done for their batch; to make more would keep the next from Postgres.
SENT_AT_ONCE = 16


@dataclass(slots=True)
class Stored:
    """What was committed and has to be announced, with the outputs that were read to do so."""

    decision: Decision
    sent: list[Dispatch]
    facts: Mapping[RunId, RunFacts]
    known: dict[NodeRef, Ended]
    read: list[dict[str, Any]]
    #: Runs that ended and are awaited, as JSON.
    shown: Mapping[RunId, orjson.Fragment]
    #: A webhook is to be told of a run that ended.
    has_deliveries: bool
    #: The nodes that have left already.
    on_the_way: Sent | None = None


class Settler:
    """The one way in which node results reach a final state."""

    def __init__(
        self,
        pool: Pool,
        versions: Versions,
        dispatcher: Dispatcher,
        windows: Windows,
        ended_runs: EndedRuns,
        random: Random,
    ) -> None:
        self._pool = pool
        self._versions = versions
        self._dispatcher = dispatcher
        self._large_inputs = LargeInputs(pool, dispatcher)
        self._windows = windows
        self._ended_runs = ended_runs
        self._random = random
        self.memory = RunMemory()
        #: Set when an attempt was put off; whoever waits for retries looks again.
        self.retry_scheduled = asyncio.Event()
        #: Set when a run has ended that may have deliveries; whoever sends them looks.
        self.deliveries_made = asyncio.Event()

    async def settle(self, outcomes: Sequence[Outcome]) -> list[Stored]:
        """Commit these outcomes, however long Postgres is away; what it cannot store fails its attempt."""
        return [
            stored
            for at in range(0, len(outcomes), BATCH)
            for stored in await self._settle_batch(outcomes[at : at + BATCH])
        ]

    async def _settle_batch(self, outcomes: Sequence[Outcome]) -> list[Stored]:
        try:
            return [await self._commit(outcomes)]
        except REFUSED as error:
            if len(outcomes) == 1:
                return await self._settle_stripped(outcomes[0], error)
        # One of them cannot be stored, or there is too much of them; the others are none the worse.
        middle = len(outcomes) // 2
        return [*await self._settle_batch(outcomes[:middle]), *await self._settle_batch(outcomes[middle:])]

    async def _settle_stripped(self, outcome: Outcome, error: Exception) -> list[Stored]:
        """Its attempt fails; a result that Postgres takes in no form is left out, for who reads it to park."""
        strip(outcome, words_of(error).splitlines()[0])
        try:
            return [await self._commit([outcome])]
        except REFUSED:
            log.exception("a result could not be stored at all", run_id=outcome.run_id, node_key=outcome.node_key)
            outcome.is_refused = True
            return []

    async def _commit(self, outcomes: Sequence[Outcome]) -> Stored:
        """Tried until Postgres is there; raises one of REFUSED when trying again does not help."""
        while True:
            try:
                return await self._transact(outcomes)
            except PASSING as error:
                if isinstance(error, TOO_MUCH) or (isinstance(error, TOO_SLOW) and len(outcomes) > 1):
                    raise
                log.warning("Postgres did not take a batch; trying again", error=words_of(error))
                self.memory.forget(outcome.run_id for outcome in outcomes)
                for outcome in outcomes:
                    # It may have been committed all the same, when the connection was lost in the commit.
                    outcome.is_redelivered = True
                await asyncio.sleep(RETRY_DELAY_S)

    async def _transact(self, outcomes: Sequence[Outcome]) -> Stored:
        with SETTLE_SECONDS.time():
            return await self._settle_in_one(outcomes)

    async def _settle_in_one(self, outcomes: Sequence[Outcome]) -> Stored:
        async with self._pool.connection() as connection:
            facts = await self._versions.facts(connection, (outcome.run_id for outcome in outcomes))
            with settling(outcomes, facts):
                stored = await self._settle_remembered(connection, outcomes, facts)
                if stored is None:
                    SETTLES_READ.inc()
                    keys, freed = _wanted(facts, outcomes)
                    graphs = {run_id: facts[run_id].graph for run_id in keys}
                    runs = await load_slice(connection, graphs, keys, freed, begins=BEGIN)
                    decision = settle(runs, outcomes, self._windows.of, self._random)
                    stored = await self.store(connection, decision, facts, commits=True)
            if _leave_at_once(stored):
                stored.on_the_way = await self._send(stored)
        self.memory.keep(stored.decision)
        if any(change.retry_delay_s is not None for change in stored.decision.changes.values()):
            self.retry_scheduled.set()
        return stored

    async def _settle_remembered(
        self, connection: Connection, outcomes: Sequence[Outcome], facts: Mapping[RunId, RunFacts]
    ) -> Stored | None:
        """In one round trip, nothing read first; None when that cannot be done, and nothing is written."""
        decision = self.memory.settle(outcomes, self._windows.of, self._random)
        if decision is None:
            return None
        try:
            return await self.store(connection, decision, facts, begins=BEGIN, commits=True)
        except postgres_errors.SerializationFailure as error:
            log.debug("a run was changed by another coordinator", error=words_of(error))
            await connection.rollback()
            self.memory.doubt()
            return None

    async def store(
        self,
        connection: Connection,
        decision: Decision,
        facts: Mapping[RunId, RunFacts],
        *,
        again: Sequence[Dispatch] = (),
        begins: str = "",
        commits: bool = False,
    ) -> Stored:
        """Write the decision and read what its announcements need, those of `again` included, in one round trip;
        with `begins` the transaction opens in the same, with `commits` it ends there. One that goes on may change
        its runs in other ways, so these are forgotten."""
        if not commits:
            self.memory.forget(decision.runs)
        sent = [*(Dispatch(run.id, node) for run, node in (*decision.released, *decision.repeated)), *again]
        known = ended_now(decision)
        wanted = self._dispatcher.unknown(sent, facts, known)
        awaited = awaited_ends(decision, facts, known)
        saved = await save(connection, decision, wanted, awaited, begins=begins, commits=commits)
        shown = shown_ends(saved.awaited, facts, known)
        return Stored(decision, sent, facts, known, saved.outputs, shown, saved.has_deliveries)

    async def announce(self, stored: Stored) -> bool:
        """Publish what was committed; False when some of it was not acknowledged."""
        decision = stored.decision
        # Work first, and all else while its acknowledgements are on their way.
        sent = stored.on_the_way or await self._send(stored)
        self._dispatcher.announce_changes(decision, stored.shown)
        count(decision, stored.facts)
        tell_ends(decision, stored.facts)
        if stored.has_deliveries:
            self.deliveries_made.set()
        ended = {run_id: end.run.status for run_id, end in decision.ended.items() if end.run.unfinished}
        if ended or decision.ended_before:
            await self._ended_runs.put({**decision.ended_before, **ended}.items())
        self._versions.forget(decision.ended)
        is_stored = await sent.is_stored()
        return await self._send_large(self._large(stored), stored) and is_stored

    async def _send(self, stored: Stored) -> Sent:
        """The nodes leave, but for those whose inputs were left out."""
        large = self._large(stored)
        others = [dispatch for dispatch in stored.sent if dispatch not in large] if large else stored.sent
        return await self._dispatcher.send(others, stored.facts, {**stored.known, **ends_of(stored.read)})

    def _large(self, stored: Stored) -> list[Dispatch]:
        """Those whose inputs were left out."""
        left_out = {(row["run_id"], row["node_key"]) for row in stored.read if row["is_left_out"]}
        if not left_out:
            return []
        return [
            dispatch
            for dispatch in stored.sent
            if left_out & self._dispatcher.unknown([dispatch], stored.facts, stored.known)
        ]

    async def _send_large(self, large: Sequence[Dispatch], stored: Stored) -> bool:
        is_stored = True
        refused: list[Outcome] = []
        for dispatch in large:
            try:
                sent = await self._large_inputs.send(dispatch, stored.facts, stored.known)
            except psycopg.OperationalError as error:
                log.warning("a node could not be sent", node_key=dispatch.node.key, error=words_of(error))
                sent = False
            if isinstance(sent, Outcome):
                refused.append(sent)
            else:
                is_stored &= sent
        for more in await self.settle(refused):
            is_stored &= await self.announce(more)
        return is_stored


def _leave_at_once(stored: Stored) -> bool:
    """True for few nodes, none of whose inputs are so large that they go through a bucket."""
    if len(stored.sent) > SENT_AT_ONCE or any(outcome.payload is not None for outcome in stored.decision.attempts):
        return False
    return sum(row["size"] or 0 for row in stored.read) <= INLINE_LIMIT


def ended_now(decision: Decision) -> dict[NodeRef, Ended]:
    """What this batch itself tells of nodes that ended."""
    return {
        reference: Ended(
            change.node.status,
            change.outcome.output if change.outcome is not None else None,
            change.outcome.error if change.outcome is not None else None,
        )
        for reference, change in decision.changes.items()
        if change.node.status in (NodeStatus.COMPLETED, NodeStatus.FAILED, NodeStatus.SKIPPED)
    }


def _wanted(
    facts: dict[RunId, RunFacts], outcomes: Sequence[Outcome]
) -> tuple[dict[RunId, set[str]], dict[LaneRef, int]]:
    """The nodes to load of each run, and how many places each of its lanes may get back."""
    by_run: dict[RunId, list[Outcome]] = {}
    freed: Counter[LaneRef] = Counter()
    for outcome in outcomes:
        run = facts.get(outcome.run_id)
        node = run.graph.nodes.get(outcome.node_key) if run is not None else None
        if node is not None:
            by_run.setdefault(outcome.run_id, []).append(outcome)
            freed[outcome.run_id, node.type] += 1
    keys = {run_id: keys_to_load(facts[run_id].graph, found) for run_id, found in by_run.items()}
    return keys, dict(freed)
