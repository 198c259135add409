"""Answers to requests that change a part of a draft: read, merged, and updated as if the whole had been sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.definition.graph_handlers import GraphHandlers
from services.definition.handlers import PipelineHandlers
from services.definition.merging import merged
from shared.bus.rpc import Endpoint
from shared.contracts import subjects
from shared.contracts.edits import NodeGet, NodePatch, NodeUpdate, NodeView
from shared.contracts.pipelines import (
    NodeDocument,
    Pipeline,
    PipelineDocument,
    PipelineGet,
    PipelinePatch,
    PipelineUpdate,
)
from shared.errors import ChangedMeanwhileError

Changed = TypeVar("Changed")


class PatchHandlers:
    """What is merged is never older than what it replaces: an edit in between makes it read again."""

    def __init__(self, pipelines: PipelineHandlers, graphs: GraphHandlers) -> None:
        self._pipelines = pipelines
        self._graphs = graphs

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            subjects.PIPELINES_PATCH: Endpoint(PipelinePatch, self.patch_pipeline),
            subjects.NODES_PATCH: Endpoint(NodePatch, self.patch_node),
        }

    async def patch_pipeline(self, request: PipelinePatch) -> Pipeline:
        async def change() -> Pipeline:
            found = await self._pipelines.get(PipelineGet(pipeline=request.pipeline))
            document = merged(
                found.model_dump(mode="json", include=set(PipelineDocument.model_fields)), request.changes
            )
            revision = found.revision if request.if_revision is None else request.if_revision
            wanted = PipelineUpdate(pipeline=str(found.id), document=document, if_revision=revision)
            return await self._pipelines.update(wanted)

        return await _until_unchanged(change, request.if_revision)

    async def patch_node(self, request: NodePatch) -> NodeView:
        async def change() -> NodeView:
            found = await self._graphs.get_node(NodeGet(pipeline=request.pipeline, key=request.key))
            node = merged(found.model_dump(mode="json", include=set(NodeDocument.model_fields)), request.changes)
            revision = found.revision if request.if_revision is None else request.if_revision
            pipeline = str(found.pipeline_id)
            return await self._graphs.update_node(
                NodeUpdate(pipeline=pipeline, key=request.key, node=node, if_revision=revision)
            )

        return await _until_unchanged(change, request.if_revision)


async def _until_unchanged(change: Callable[[], Awaitable[Changed]], if_revision: int | None) -> Changed:
    """Whoever named no revision wants any, so that only they are refused who did."""
    while True:
        try:
            return await change()
        except ChangedMeanwhileError:
            if if_revision is not None:
                raise
