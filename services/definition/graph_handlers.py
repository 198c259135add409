"""Answers to requests about single nodes and edges of a draft; one method a subject."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from services.definition import graph_store, store
from services.definition.drafts import Drafts
from services.definition.validation import check_storable, invalid_pipeline, shape_findings
from shared.bus.rpc import Endpoint
from shared.contracts import subjects
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
    NodesList,
    NodeUpdate,
    NodeView,
    edge_id,
)
from shared.contracts.pipelines import EdgeDocument, NodeDocument, PipelineDocument
from shared.contracts.problems import FieldProblem
from shared.errors import ConflictError, InvalidError, NotFoundError, did_you_mean
from shared.postgres import Connection

Found = dict[str, Any]
Body = TypeVar("Body", bound=BaseModel)


class GraphHandlers:
    """Every edit locks the pipeline, checks what the draft becomes, and raises its revision."""

    def __init__(self, drafts: Drafts) -> None:
        self._drafts = drafts

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            subjects.NODES_CREATE: Endpoint(NodeCreate, self.create_node),
            subjects.NODES_GET: Endpoint(NodeGet, self.get_node),
            subjects.NODES_LIST: Endpoint(NodesList, self.list_nodes),
            subjects.NODES_UPDATE: Endpoint(NodeUpdate, self.update_node),
            subjects.NODES_DELETE: Endpoint(NodeDelete, self.delete_node),
            subjects.EDGES_CREATE: Endpoint(EdgeCreate, self.create_edge),
            subjects.EDGES_GET: Endpoint(EdgeGet, self.get_edge),
            subjects.EDGES_LIST: Endpoint(EdgesList, self.list_edges),
            subjects.EDGES_DELETE: Endpoint(EdgeDelete, self.delete_edge),
        }

    async def create_node(self, request: NodeCreate) -> NodeView:
        node = _read(NodeDocument, request.node)
        async with self._drafts.transaction() as connection:
            found = await self._drafts.lock(connection, request.pipeline, request.if_revision)
            if await graph_store.load_node(connection, found["id"], node.key) is not None:
                raise ConflictError(
                    "node_exists", f"Pipeline '{found['slug']}' has a node '{node.key}' already. Choose another key."
                )
            await self._check(connection, node)
            await graph_store.insert_node(connection, found["id"], node)
            return await self._edited_node(connection, found, node)

    async def get_node(self, request: NodeGet) -> NodeView:
        async with self._drafts.snapshot() as connection:
            found = await self._drafts.find(connection, request.pipeline)
            return _node_view(found, await self._node(connection, found, request.key))

    async def list_nodes(self, request: NodesList) -> NodePage:
        async with self._drafts.snapshot() as connection:
            found = await self._drafts.find(connection, request.pipeline)
            rows = await graph_store.list_nodes(connection, found["id"], request)
        page = rows[: request.limit]
        return NodePage(
            nodes=[_node_view(found, row) for row in page],
            next_after=page[-1]["key"] if len(rows) > len(page) else None,
        )

    async def update_node(self, request: NodeUpdate) -> NodeView:
        node = _read(NodeDocument, request.node, key=request.key)
        if node.key != request.key:
            raise InvalidError(
                "key_is_fixed",
                f"A node keeps its key: '{request.key}' cannot become '{node.key}'. Create another node, delete this.",
                [FieldProblem(pointer="/key", detail=f"must be '{request.key}'")],
            )
        async with self._drafts.transaction() as connection:
            found = await self._drafts.lock(connection, request.pipeline, request.if_revision)
            await self._node(connection, found, request.key)
            await self._check(connection, node)
            await graph_store.update_node(connection, found["id"], node)
            return await self._edited_node(connection, found, node)

    async def delete_node(self, request: NodeDelete) -> NodeView:
        async with self._drafts.transaction() as connection:
            found = await self._drafts.lock(connection, request.pipeline, request.if_revision)
            row = await self._node(connection, found, request.key)
            await graph_store.delete_node(connection, found["id"], request.key)
            revision = await store.raise_revision(connection, found["id"])
            return _node_view({**found, "revision": revision}, row)

    async def create_edge(self, request: EdgeCreate) -> EdgeView:
        edge = _read(EdgeDocument, request.edge)
        async with self._drafts.transaction() as connection:
            found = await self._drafts.lock(connection, request.pipeline, request.if_revision)
            document = await self._drafts.document(connection, found)
            edges = [*document.edges, edge]
            place = f"/edges/{len(document.edges)}"
            findings = await self._drafts.findings(
                connection, document.model_copy(update={"edges": edges}), is_partial=True
            )
            _refuse([one for one in findings if one.pointer == "/edges" or one.pointer.startswith(place)], place)
            await graph_store.insert_edge(connection, found["id"], edge)
            revision = await store.raise_revision(connection, found["id"])
            return _edge_view({**found, "revision": revision}, edge.model_dump())

    async def get_edge(self, request: EdgeGet) -> EdgeView:
        async with self._drafts.snapshot() as connection:
            found = await self._drafts.find(connection, request.pipeline)
            return _edge_view(found, await self._edge(connection, found, request.id))

    async def list_edges(self, request: EdgesList) -> EdgePage:
        async with self._drafts.snapshot() as connection:
            found = await self._drafts.find(connection, request.pipeline)
            rows = await graph_store.list_edges(connection, found["id"], request)
        page = [_edge_view(found, row) for row in rows[: request.limit]]
        return EdgePage(edges=page, next_after=page[-1].id if len(rows) > len(page) else None)

    async def delete_edge(self, request: EdgeDelete) -> EdgeView:
        async with self._drafts.transaction() as connection:
            found = await self._drafts.lock(connection, request.pipeline, request.if_revision)
            row = await self._edge(connection, found, request.id)
            await graph_store.delete_edge(connection, found["id"], request.id)
            revision = await store.raise_revision(connection, found["id"])
            return _edge_view({**found, "revision": revision}, row)

    async def _check(self, connection: Connection, node: NodeDocument) -> None:
        """The node by itself; raises InvalidError."""
        alone = PipelineDocument(name="alone", nodes=[node])
        _refuse(await self._drafts.findings(connection, alone, is_partial=True), "/nodes/0")

    async def _edited_node(self, connection: Connection, found: Found, node: NodeDocument) -> NodeView:
        revision = await store.raise_revision(connection, found["id"])
        return _node_view({**found, "revision": revision}, node.model_dump())

    async def _node(self, connection: Connection, found: Found, key: str) -> Found:
        row = await graph_store.load_node(connection, found["id"], key)
        if row is None:
            keys = [other["key"] for other in await store.load_nodes(connection, found["id"])]
            raise _missing("node", key, found, keys)
        return row

    async def _edge(self, connection: Connection, found: Found, name: str) -> Found:
        row = await graph_store.load_edge(connection, found["id"], name)
        if row is None:
            names = [_id_of(other) for other in await store.load_edges(connection, found["id"])]
            raise _missing("edge", name, found, names)
        return row


def _read(model: type[Body], raw: Any, **defaults: Any) -> Body:
    """The body as a model; raises InvalidError with every place that has the wrong shape."""
    check_storable(raw)
    try:
        return model.model_validate({**defaults, **raw} if isinstance(raw, dict) else raw)
    except ValidationError as error:
        raise invalid_pipeline(shape_findings(error, model)) from error


def _refuse(findings: list[FieldProblem], place: str) -> None:
    """Places are told within the body that was sent."""
    if findings:
        raise invalid_pipeline(
            [found.model_copy(update={"pointer": found.pointer.removeprefix(place)}) for found in findings]
        )


def _missing(what: str, name: str, found: Found, names: list[str]) -> NotFoundError:
    hint = did_you_mean(name, names)
    return NotFoundError(f"{what}_not_found", f"Pipeline '{found['slug']}' has no {what} '{name}'.{hint}")


def _node_view(found: Found, row: Found) -> NodeView:
    return NodeView.model_validate({**row, "pipeline_id": found["id"], "revision": found["revision"]})


def _id_of(row: Found) -> str:
    return edge_id(row["source"], row["target"], row["branch"])


def _edge_view(found: Found, row: Found) -> EdgeView:
    named = {"id": _id_of(row), "pipeline_id": found["id"], "revision": found["revision"]}
    return EdgeView.model_validate({**row, **named})
