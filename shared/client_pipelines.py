"""The client's methods of pipelines, their nodes and edges, and their versions: one a subject.

`if_revision` refuses an edit of what somebody else has changed meanwhile, with 412.
"""

from __future__ import annotations

from typing import Any, Literal

from shared.client_calls import EDIT_TIMEOUT_S, Calls
from shared.contracts import subjects
from shared.contracts.edits import (
    EdgeCreate,
    EdgeDelete,
    EdgeGet,
    EdgePage,
    EdgesList,
    EdgeView,
    Findings,
    NodeCreate,
    NodeDelete,
    NodeGet,
    NodePage,
    NodePatch,
    NodesList,
    NodeUpdate,
    NodeView,
    PipelineValidate,
)
from shared.contracts.message import JsonObject
from shared.contracts.pipelines import (
    Applied,
    NodeTypeList,
    NodeTypesList,
    NodeTypeView,
    Pipeline,
    PipelineApply,
    PipelineCreate,
    PipelineDocument,
    PipelineGet,
    PipelineList,
    PipelinePage,
    PipelinePatch,
    PipelineUpdate,
)
from shared.contracts.states import PipelineStatus
from shared.contracts.versions import (
    PipelineVersion,
    VersionDifference,
    VersionPage,
    VersionPublish,
    VersionRead,
    VersionsCompare,
    VersionsList,
)


class PipelineCalls(Calls):
    """Pipelines are named by slug or id."""

    async def create_pipeline(self, document: Any, *, idempotency_key: str | None = None) -> Pipeline:
        """Make a draft with its nodes and edges, all or nothing."""
        request = PipelineCreate(document=document, idempotency_key=idempotency_key)
        return await self._call(subjects.PIPELINES_CREATE, request, Pipeline, EDIT_TIMEOUT_S)

    async def apply(self, document: Any, *, publish: bool = True) -> Applied:
        """Create or update a pipeline by its slug; applying the same again changes nothing."""
        request = PipelineApply(document=document, publish=publish)
        return await self._call(subjects.PIPELINES_APPLY, request, Applied, EDIT_TIMEOUT_S)

    async def validate(self, document: Any) -> Findings:
        """Everything that is wrong with a document; nothing is saved."""
        request = PipelineValidate(document=document)
        return await self._call(subjects.PIPELINES_VALIDATE, request, Findings, EDIT_TIMEOUT_S)

    async def validate_pipeline(self, pipeline: str) -> Findings:
        """Everything that keeps the draft from being published."""
        request = PipelineValidate(pipeline=pipeline)
        return await self._call(subjects.PIPELINES_VALIDATE, request, Findings, EDIT_TIMEOUT_S)

    async def get_pipeline(self, pipeline: str) -> Pipeline:
        return await self._call(subjects.PIPELINES_GET, PipelineGet(pipeline=pipeline), Pipeline, EDIT_TIMEOUT_S)

    async def list_pipelines(
        self,
        *,
        status: PipelineStatus | None = None,
        sort: Literal["slug", "-slug"] = "slug",
        limit: int = 50,
        after: str | None = None,
    ) -> PipelinePage:
        request = PipelineList(status=status, sort=sort, limit=limit, after=after)
        return await self._call(subjects.PIPELINES_LIST, request, PipelinePage)

    async def update_pipeline(self, pipeline: str, document: Any, *, if_revision: int | None = None) -> Pipeline:
        """The draft becomes this document; runs go on with what is published."""
        request = PipelineUpdate(pipeline=pipeline, document=document, if_revision=if_revision)
        return await self._call(subjects.PIPELINES_UPDATE, request, Pipeline, EDIT_TIMEOUT_S)

    async def patch_pipeline(self, pipeline: str, changes: JsonObject, *, if_revision: int | None = None) -> Pipeline:
        """Change these parts of the draft: a JSON Merge Patch, so None takes away and lists are replaced."""
        request = PipelinePatch(pipeline=pipeline, changes=changes, if_revision=if_revision)
        return await self._call(subjects.PIPELINES_PATCH, request, Pipeline, EDIT_TIMEOUT_S)

    async def delete_pipeline(self, pipeline: str, *, if_revision: int | None = None) -> None:
        request = PipelineGet(pipeline=pipeline, if_revision=if_revision)
        await self._delete(subjects.PIPELINES_DELETE, request, EDIT_TIMEOUT_S)

    async def publish_pipeline(self, pipeline: str, *, if_revision: int | None = None) -> Pipeline:
        request = PipelineGet(pipeline=pipeline, if_revision=if_revision)
        return await self._call(subjects.PIPELINES_PUBLISH, request, Pipeline, EDIT_TIMEOUT_S)

    async def archive_pipeline(self, pipeline: str, *, if_revision: int | None = None) -> Pipeline:
        request = PipelineGet(pipeline=pipeline, if_revision=if_revision)
        return await self._call(subjects.PIPELINES_ARCHIVE, request, Pipeline)

    async def export(self, pipeline: str) -> PipelineDocument:
        """The draft as the document that `apply` takes."""
        request = PipelineGet(pipeline=pipeline)
        return await self._call(subjects.PIPELINES_EXPORT, request, PipelineDocument, EDIT_TIMEOUT_S)

    async def node_types(self) -> list[NodeTypeView]:
        return (await self._call(subjects.NODE_TYPES_LIST, NodeTypesList(), NodeTypeList)).node_types

    # Nodes and edges of a draft

    async def create_node(self, pipeline: str, node: Any, *, if_revision: int | None = None) -> NodeView:
        request = NodeCreate(pipeline=pipeline, node=node, if_revision=if_revision)
        return await self._call(subjects.NODES_CREATE, request, NodeView)

    async def get_node(self, pipeline: str, key: str) -> NodeView:
        return await self._call(subjects.NODES_GET, NodeGet(pipeline=pipeline, key=key), NodeView)

    async def list_nodes(
        self, pipeline: str, *, sort: Literal["key", "-key"] = "key", limit: int = 50, after: str | None = None
    ) -> NodePage:
        return await self._call(
            subjects.NODES_LIST, NodesList(pipeline=pipeline, sort=sort, limit=limit, after=after), NodePage
        )

    async def update_node(self, pipeline: str, key: str, node: Any, *, if_revision: int | None = None) -> NodeView:
        """The node becomes this document; its key stays."""
        request = NodeUpdate(pipeline=pipeline, key=key, node=node, if_revision=if_revision)
        return await self._call(subjects.NODES_UPDATE, request, NodeView)

    async def patch_node(
        self, pipeline: str, key: str, changes: JsonObject, *, if_revision: int | None = None
    ) -> NodeView:
        """Change these parts of a node: a JSON Merge Patch, so None takes away."""
        request = NodePatch(pipeline=pipeline, key=key, changes=changes, if_revision=if_revision)
        return await self._call(subjects.NODES_PATCH, request, NodeView)

    async def delete_node(self, pipeline: str, key: str, *, if_revision: int | None = None) -> None:
        """With its edges."""
        await self._delete(subjects.NODES_DELETE, NodeDelete(pipeline=pipeline, key=key, if_revision=if_revision))

    async def create_edge(self, pipeline: str, edge: Any, *, if_revision: int | None = None) -> EdgeView:
        request = EdgeCreate(pipeline=pipeline, edge=edge, if_revision=if_revision)
        return await self._call(subjects.EDGES_CREATE, request, EdgeView)

    async def get_edge(self, pipeline: str, edge_id: str) -> EdgeView:
        return await self._call(subjects.EDGES_GET, EdgeGet(pipeline=pipeline, id=edge_id), EdgeView)

    async def list_edges(
        self, pipeline: str, *, sort: Literal["id", "-id"] = "id", limit: int = 50, after: str | None = None
    ) -> EdgePage:
        return await self._call(
            subjects.EDGES_LIST, EdgesList(pipeline=pipeline, sort=sort, limit=limit, after=after), EdgePage
        )

    async def delete_edge(self, pipeline: str, edge_id: str, *, if_revision: int | None = None) -> None:
        await self._delete(subjects.EDGES_DELETE, EdgeDelete(pipeline=pipeline, id=edge_id, if_revision=if_revision))

    # Versions

    async def list_versions(
        self,
        pipeline: str,
        *,
        sort: Literal["-number", "number"] = "-number",
        limit: int = 50,
        after: int | None = None,
    ) -> VersionPage:
        request = VersionsList(pipeline=pipeline, sort=sort, limit=limit, after=after)
        return await self._call(subjects.VERSIONS_LIST, request, VersionPage)

    async def get_version(self, pipeline: str, number: int) -> PipelineVersion:
        """With the document that was published."""
        request = VersionRead(pipeline=pipeline, number=number)
        return await self._call(subjects.VERSIONS_READ, request, PipelineVersion, EDIT_TIMEOUT_S)

    async def publish_version(self, pipeline: str, number: int, *, if_revision: int | None = None) -> Pipeline:
        """New runs use this version again."""
        request = VersionPublish(pipeline=pipeline, number=number, if_revision=if_revision)
        return await self._call(subjects.VERSIONS_PUBLISH, request, Pipeline, EDIT_TIMEOUT_S)

    async def compare_versions(self, pipeline: str, number: int, other: int | None = None) -> VersionDifference:
        """What changed from one version to another, or to the draft."""
        request = VersionsCompare(pipeline=pipeline, number=number, other=other)
        return await self._call(subjects.VERSIONS_COMPARE, request, VersionDifference, EDIT_TIMEOUT_S)
