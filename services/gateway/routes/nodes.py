"""Routes of single nodes and edges of a draft."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from services.gateway.access import needs
from services.gateway.bodies import read_json, read_object
from services.gateway.etags import IfRevision, etag_of
from services.gateway.openapi.answers import answers, body_of, changes_of
from services.gateway.routes.paging import AfterEdge, AfterKey, Limit, SortById, SortByKey
from services.gateway.wiring import Wired, answer, location
from shared.contracts import subjects
from shared.contracts.api_keys import Scope
from shared.contracts.edits import (
    EdgeCreate,
    EdgeDelete,
    EdgeGet,
    EdgePage,
    EdgesList,
    EdgeView,
    NodeCreate,
    NodeDelete,
    NodeGet,
    NodePage,
    NodePatch,
    NodesList,
    NodeUpdate,
    NodeView,
)
from shared.contracts.pipelines import EdgeDocument, NodeDocument

router = APIRouter(prefix="/pipelines/{pipeline}", tags=["nodes and edges"])

READ = [needs(Scope.PIPELINES_READ)]
WRITE = [needs(Scope.PIPELINES_WRITE)]

NodeKeyPath = Annotated[str, Path(description="Key of the node", max_length=63)]
EdgeIdPath = Annotated[str, Path(description="`source.target`, or `source.target.branch`", max_length=200)]


@router.get("/nodes", dependencies=READ, responses=answers(NodePage))
async def list_nodes(
    pipeline: str,
    wired: Wired,
    limit: Limit = 50,
    after: AfterKey = None,
    sort: SortByKey = "key",
) -> Response:
    """Nodes of the draft, by key."""
    wanted = NodesList(pipeline=pipeline, limit=limit, after=after, sort=sort)
    return answer(await wired.rpc.call_raw(subjects.NODES_LIST, wanted))


@router.post(
    "/nodes",
    status_code=201,
    dependencies=WRITE,
    responses=answers(NodeView, 201, refuses=["node_exists", "invalid_pipeline"]),
    openapi_extra=body_of(NodeDocument),
)
async def create_node(pipeline: str, request: Request, wired: Wired, if_revision: IfRevision) -> Response:
    """Add a node to the draft. References to nodes that are not upstream yet are told by validate and publish."""
    wanted = NodeCreate(pipeline=pipeline, node=await read_json(request), if_revision=if_revision)
    made = await wired.rpc.call_raw(subjects.NODES_CREATE, wanted)
    place = location("pipelines", made["pipeline_id"], "nodes", made["key"])
    return answer(made, 201, place | etag_of(made))


@router.get("/nodes/{key}", dependencies=READ, responses=answers(NodeView))
async def get_node(pipeline: str, key: NodeKeyPath, wired: Wired) -> Response:
    """A node of the draft."""
    return _told(await wired.rpc.call_raw(subjects.NODES_GET, NodeGet(pipeline=pipeline, key=key)))


@router.put(
    "/nodes/{key}",
    dependencies=WRITE,
    responses=answers(NodeView, refuses=["invalid_pipeline", "key_is_fixed"]),
    openapi_extra=body_of(NodeDocument),
)
async def update_node(
    pipeline: str, key: NodeKeyPath, request: Request, wired: Wired, if_revision: IfRevision
) -> Response:
    """Replace a node of the draft; its key stays."""
    wanted = NodeUpdate(pipeline=pipeline, key=key, node=await read_json(request), if_revision=if_revision)
    return _told(await wired.rpc.call_raw(subjects.NODES_UPDATE, wanted))


@router.patch(
    "/nodes/{key}",
    dependencies=WRITE,
    responses=answers(NodeView, refuses=["invalid_pipeline", "key_is_fixed"]),
    openapi_extra=changes_of(NodeDocument, {"config": {"url": "{{ input.page }}"}, "position": {"x": 3, "y": 4}}),
)
async def patch_node(
    pipeline: str, key: NodeKeyPath, request: Request, wired: Wired, if_revision: IfRevision
) -> Response:
    """Change what is sent of a node, as a JSON Merge Patch (RFC 7396): null takes away; its key stays."""
    wanted = NodePatch(pipeline=pipeline, key=key, changes=await read_object(request), if_revision=if_revision)
    return _told(await wired.rpc.call_raw(subjects.NODES_PATCH, wanted))


@router.delete("/nodes/{key}", status_code=204, response_model=None, dependencies=WRITE, responses=answers(None, 204))
async def delete_node(pipeline: str, key: NodeKeyPath, wired: Wired, if_revision: IfRevision) -> Response:
    """Take a node out of the draft, with its edges."""
    wanted = NodeDelete(pipeline=pipeline, key=key, if_revision=if_revision)
    deleted = await wired.rpc.call_raw(subjects.NODES_DELETE, wanted)
    return Response(status_code=204, headers=etag_of(deleted))


@router.get("/edges", dependencies=READ, responses=answers(EdgePage))
async def list_edges(
    pipeline: str,
    wired: Wired,
    limit: Limit = 50,
    after: AfterEdge = None,
    sort: SortById = "id",
) -> Response:
    """Edges of the draft, by id."""
    wanted = EdgesList(pipeline=pipeline, limit=limit, after=after, sort=sort)
    return answer(await wired.rpc.call_raw(subjects.EDGES_LIST, wanted))


@router.post(
    "/edges",
    status_code=201,
    dependencies=WRITE,
    responses=answers(EdgeView, 201, refuses=["invalid_pipeline"]),
    openapi_extra=body_of(EdgeDocument),
)
async def create_edge(pipeline: str, request: Request, wired: Wired, if_revision: IfRevision) -> Response:
    """Add an edge to the draft."""
    wanted = EdgeCreate(pipeline=pipeline, edge=await read_json(request), if_revision=if_revision)
    made = await wired.rpc.call_raw(subjects.EDGES_CREATE, wanted)
    place = location("pipelines", made["pipeline_id"], "edges", made["id"])
    return answer(made, 201, place | etag_of(made))


@router.get("/edges/{edge_id}", dependencies=READ, responses=answers(EdgeView))
async def get_edge(pipeline: str, edge_id: EdgeIdPath, wired: Wired) -> Response:
    """An edge of the draft."""
    return _told(await wired.rpc.call_raw(subjects.EDGES_GET, EdgeGet(pipeline=pipeline, id=edge_id)))


@router.delete(
    "/edges/{edge_id}", status_code=204, response_model=None, dependencies=WRITE, responses=answers(None, 204)
)
async def delete_edge(pipeline: str, edge_id: EdgeIdPath, wired: Wired, if_revision: IfRevision) -> Response:
    """Take an edge out of the draft."""
    wanted = EdgeDelete(pipeline=pipeline, id=edge_id, if_revision=if_revision)
    deleted = await wired.rpc.call_raw(subjects.EDGES_DELETE, wanted)
    return Response(status_code=204, headers=etag_of(deleted))


def _told(found: Any) -> Response:
    return answer(found, headers=etag_of(found))
