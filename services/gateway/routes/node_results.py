"""Routes of node results: how each node of a run went."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from services.gateway.access import needs
from services.gateway.openapi.answers import answers
from services.gateway.routes.paging import AfterKey, Limit
from services.gateway.wiring import Wired, answer
from shared.contracts import subjects
from shared.contracts.api_keys import Scope
from shared.contracts.runs import NodeResultGet, NodeResultPage, NodeResultsList, NodeResultView
from shared.contracts.states import NodeStatus

router = APIRouter(prefix="/pipeline_runs/{run_id}/node_results", tags=["node_results"])

READ = [needs(Scope.RUNS_READ)]


@router.get("", dependencies=READ, responses=answers(NodeResultPage))
async def list_node_results(
    run_id: UUID,
    wired: Wired,
    limit: Limit = 50,
    after: AfterKey = None,
    status: NodeStatus | None = None,
) -> Response:
    """Node results in the order of the pipeline's document, with their attempts."""
    wanted = NodeResultsList(run_id=run_id, limit=limit, after=after, status=status)
    return answer(await wired.rpc.call_raw(subjects.NODE_RESULTS_LIST, wanted))


@router.get("/{node_key}", dependencies=READ, responses=answers(NodeResultView))
async def get_node_result(
    run_id: UUID, node_key: Annotated[str, Path(max_length=63, description="Key of the node")], wired: Wired
) -> Response:
    """One node result: input, output or error, figures, and every attempt."""
    wanted = NodeResultGet(run_id=run_id, node_key=node_key)
    return answer(await wired.rpc.call_raw(subjects.NODE_RESULTS_GET, wanted))
