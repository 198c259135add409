"""Runs whose end somebody waits for: the event of it brings the run along, so that nobody has to ask for it."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from services.coordinator.decision import Decision, NodeRef
from services.coordinator.inputs import Ended
from services.coordinator.state import RunId, RunState
from services.coordinator.store.together import Rows
from services.coordinator.versions import RunFacts
from services.coordinator.views import whole_run_view
from shared.contracts.states import RunStatus

#: Whoever wants a larger one reads it; every subscriber of events is sent this one.
SHOWN_BYTES = 64 * 1024


def awaited_ends(decision: Decision, facts: Mapping[RunId, RunFacts], known: Mapping[NodeRef, Ended]) -> list[RunId]:
    """The awaited runs that end by this decision, as far as it knows all of their output."""
    return [
        run_id
        for run_id, end in decision.ended.items()
        if run_id in facts and facts[run_id].is_awaited and _is_output_known(end.run, known)
    ]


def _is_output_known(run: RunState, known: Mapping[NodeRef, Ended]) -> bool:
    return run.status is not RunStatus.COMPLETED or all((run.id, key) in known for key in run.graph.leaves)


def shown_ends(
    rows: Rows, facts: Mapping[RunId, RunFacts], known: Mapping[NodeRef, Ended]
) -> dict[RunId, orjson.Fragment]:
    """Of these rows the runs (see contracts.runs.Run) that are small enough, as JSON."""
    shown = {}
    for row in rows:
        run_id = str(row["id"])
        graph = facts[run_id].graph
        nodes = [
            {"node_key": key, "status": end.status, "output": end.output}
            for key in graph.leaves
            if (end := known.get((run_id, key))) is not None
        ]
        body = orjson.dumps(whole_run_view(graph, row, nodes))
        if len(body) <= SHOWN_BYTES:
            shown[run_id] = orjson.Fragment(body)
    return shown
