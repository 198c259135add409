"""Routes about the installation itself."""

from __future__ import annotations

from importlib import metadata

from fastapi import APIRouter, Response
from pydantic import BaseModel

from services.gateway.access import needs
from services.gateway.openapi.answers import answers
from services.gateway.wiring import Wired, answer
from shared.contracts import subjects
from shared.contracts.api_keys import Scope
from shared.contracts.pipelines import NodeTypeList, NodeTypesList

router = APIRouter(tags=["system"])


class Status(BaseModel):
    """How it stands: `ok`, `ready`, or what is away."""

    status: str


class Version(BaseModel):
    """Which version this is."""

    name: str
    version: str


@router.get("/health", responses=answers(Status, example=Status(status="ok")))
async def health() -> Response:
    """The gateway runs."""
    return answer({"status": "ok"})


@router.get(
    "/ready",
    responses=answers(Status, example=Status(status="ready"))
    | answers(Status, 503, example=Status(status="NATS is away")),
)
async def ready(wired: Wired) -> Response:
    """The gateway can answer: 200, or 503 with what is away; true within 5 s."""
    problems = wired.readiness.problems()
    return answer({"status": ", ".join(problems) or "ready"}, 503 if problems else 200)


@router.get("/version", responses=answers(Version, example=Version(name="pipewright", version="0.1.0")))
async def version() -> Response:
    """Name and version of the gateway."""
    return answer({"name": "pipewright", "version": metadata.version("pipewright")})


@router.get("/node_types", dependencies=[needs(Scope.PIPELINES_READ)], responses=answers(NodeTypeList))
async def list_node_types(wired: Wired) -> Response:
    """Every node type that a worker announced, with the JSON Schema of its config."""
    return answer(await wired.rpc.call_raw(subjects.NODE_TYPES_LIST, NodeTypesList()))
