"""Routes about the installation itself."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Response

from services.gateway.access import Scope, needs
from services.gateway.openapi import answers
from services.gateway.wiring import Wired, answer
from shared.contracts import subjects
from shared.contracts.pipelines import NodeTypeList, NodeTypesList

router = APIRouter(tags=["system"])


@router.get("/health")
async def health() -> Response:
    """The gateway runs."""
    return answer({"status": "ok"})


@router.get("/ready")
async def ready(wired: Wired) -> Response:
    """The gateway can answer: 200, or 503 with what is away; true within 5 s."""
    problems = wired.readiness.problems()
    return answer({"status": ", ".join(problems) or "ready"}, 503 if problems else 200)


@router.get("/version")
async def get_version() -> Response:
    return answer({"name": "pipewright", "version": version("pipewright")})


@router.get("/node_types", dependencies=[needs(Scope.PIPELINES_READ)], responses=answers(NodeTypeList))
async def list_node_types(wired: Wired) -> Response:
    """Every node type that a worker announced, with the JSON Schema of its config."""
    return answer(await wired.rpc.call_raw(subjects.NODE_TYPES_LIST, NodeTypesList()))
