"""Nodes whose inputs were too large to be read together with those of others: read and sent one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from services.coordinator.decision import NodeRef
from services.coordinator.dispatch import Dispatch, Dispatcher
from services.coordinator.inputs import Ended
from services.coordinator.state import Outcome, RunId
from services.coordinator.store.settling import load_outputs
from services.coordinator.store.together import Rows
from services.coordinator.versions import RunFacts
from shared.contracts.states import AttemptOutcome, NodeStatus
from shared.logging import get_logger
from shared.postgres import Pool
from shared.storable import INPUTS_LIMIT

log = get_logger(__name__)

MEBIBYTE = 1024 * 1024
#: Outputs that a refusal names.
NAMED = 5


class LargeInputs:
    """However many there are, one is in memory."""

    def __init__(self, pool: Pool, dispatcher: Dispatcher) -> None:
        self._pool = pool
        self._dispatcher = dispatcher
        self._turn = asyncio.Lock()

    async def send(
        self, dispatch: Dispatch, facts: Mapping[RunId, RunFacts], known: Mapping[NodeRef, Ended]
    ) -> bool | Outcome:
        """True when the stream has it; an outcome when the node refers to more than one may."""
        async with self._turn:
            wanted = self._dispatcher.unknown([dispatch], facts, known)
            async with self._pool.connection() as connection:
                rows = await load_outputs(connection, wanted, INPUTS_LIMIT)
            if any(row["is_left_out"] for row in rows):
                return too_large(dispatch, {row["node_key"]: row["size"] or 0 for row in rows})
            sent = await self._dispatcher.send([dispatch], facts, {**known, **ends_of(rows)})
            return await sent.is_stored()


def ends_of(rows: Rows) -> dict[NodeRef, Ended]:
    """What was read of nodes that had ended before."""
    return {
        (row["run_id"], row["node_key"]): Ended(NodeStatus(row["status"]), row["output"], row["error"]) for row in rows
    }


def too_large(dispatch: Dispatch, sizes: Mapping[str, int]) -> Outcome:
    largest = sorted(sizes, key=lambda key: -sizes[key])
    named = ", ".join(f"{key!r} {_mebibytes(sizes[key])}" for key in largest[:NAMED])
    more = f" and {len(largest) - NAMED} more" if len(largest) > NAMED else ""
    together = _mebibytes(sum(sizes.values()))
    message = (
        f"Node {dispatch.node.key!r} refers to outputs of {together} ({named}{more}); at most "
        f"{_mebibytes(INPUTS_LIMIT)} can be sent to a node. Refer to fewer, or let those nodes give less."
    )
    log.warning("a node refers to more than can be sent", run_id=dispatch.run_id, node_key=dispatch.node.key)
    return Outcome(
        run_id=dispatch.run_id,
        node_key=dispatch.node.key,
        attempt=dispatch.node.attempt,
        outcome=AttemptOutcome.FAILED,
        error={"code": "inputs_too_large", "message": message},
        retryable=False,
    )


def _mebibytes(size: int) -> str:
    return f"{size / MEBIBYTE:.1f} MiB"
