"""What never changes, kept in memory: compiled versions, and what each run was started with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.coordinator.graph import Graph, build_graph
from services.coordinator.recent import Recent
from services.coordinator.state import RunId
from services.coordinator.store.versions import copy_version, load_facts, load_version
from shared.bus.rpc import Rpc
from shared.contracts import subjects
from shared.contracts.pipelines import CompiledVersion, VersionGet
from shared.postgres import Connection

GRAPHS_KEPT = 1000
#: Of all graphs together; 10,000 take about 20 MB.
GRAPH_NODES_KEPT = 40_000
#: Facts are small but for the input; both bounds hold.
FACTS_KEPT = 20_000
FACTS_BYTES = 64 * 1024 * 1024
#: Runs that have just ended: which version each was of, for whoever waited for that.
ENDED_KEPT = 1000


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run was started with."""

    graph: Graph
    input: dict[str, Any]
    started_at: datetime
    traceparent: str | None = None
    #: Known to the process alone that started it.
    is_awaited: bool = False


class Versions:
    """Graphs by version id. The first use of a version copies it, so that runs need nobody else."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._graphs: Recent[UUID, Graph] = Recent(GRAPHS_KEPT, GRAPH_NODES_KEPT)
        self._facts: Recent[RunId, RunFacts] = Recent(FACTS_KEPT, FACTS_BYTES)
        self._ended: Recent[RunId, UUID] = Recent(ENDED_KEPT)

    async def graph(self, connection: Connection, version_id: UUID) -> Graph:
        """From memory, else from our table, else from the definition service (and then into our table)."""
        graph = self._graphs.get(version_id)
        if graph is None:
            version = await load_version(connection, version_id)
            if version is None:
                version = await self._rpc.call(
                    subjects.VERSIONS_GET, VersionGet(version_id=version_id), CompiledVersion
                )
                await copy_version(connection, version, node_rows(build_graph(version)))
            graph = build_graph(version)
            self._graphs.put(version_id, graph, len(graph.nodes))
        return graph

    def remember(self, run_id: RunId, facts: RunFacts) -> None:
        self._facts.put(run_id, facts, len(orjson.dumps(facts.input)))

    def forget(self, run_ids: Iterable[RunId]) -> None:
        """They have ended; whoever asks for one all the same has it read."""
        for run_id in run_ids:
            if (facts := self._facts.get(run_id)) is not None:
                self._ended.put(run_id, facts.graph.version_id)
            self._facts.drop(run_id)

    def graph_of_ended(self, run_id: RunId) -> Graph | None:
        """Of a run that this process saw end a moment ago, when it is in memory."""
        version_id = self._ended.get(run_id)
        return self._graphs.get(version_id) if version_id is not None else None

    async def facts(self, connection: Connection, run_ids: Iterable[RunId]) -> dict[RunId, RunFacts]:
        """The facts of those of these runs that exist and were started."""
        found = {run_id: self._facts.get(run_id) for run_id in set(run_ids)}
        missing = [run_id for run_id, facts in found.items() if facts is None]
        if missing:
            for row in await load_facts(connection, missing):
                graph = await self.graph(connection, row["version_id"])
                facts = RunFacts(graph, row["input"], row["started_at"], row["traceparent"])
                self.remember(row["id"], facts)
                found[row["id"]] = facts
        return {run_id: facts for run_id, facts in found.items() if facts is not None}


def node_rows(graph: Graph) -> list[dict[str, Any]]:
    """The rows that a run's node results are made from."""
    ranks: Counter[str] = Counter()
    rows = []
    for index, node in enumerate(graph.nodes.values()):
        waiting_for = len(graph.incoming[node.key])
        if not waiting_for:
            ranks[node.type] += 1
        rows.append(
            {
                "node_index": index,
                "node_key": node.key,
                "node_type": node.type,
                "waiting_for": waiting_for,
                "root_rank": None if waiting_for else ranks[node.type],
            }
        )
    return rows
