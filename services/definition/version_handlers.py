"""Answers to requests about published versions, and about the node types that they are checked against."""

from __future__ import annotations

from typing import Any

from services.definition import store
from services.definition.difference import difference
from services.definition.drafts import Drafts, pipeline_not_found
from services.definition.lifecycle import after_publish, check_allowed
from shared.bus.rpc import Endpoint, PlainReply
from shared.contracts import subjects
from shared.contracts.pipelines import (
    NodeTypeList,
    NodeTypesList,
    Pipeline,
    PipelineDocument,
    ResolvedVersion,
    VersionGet,
    VersionsResolve,
    VersionsResolved,
)
from shared.contracts.problems import Problem
from shared.contracts.rest import path_to
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
from shared.errors import ConflictError, NotFoundError, ServiceError
from shared.postgres import Connection


class VersionHandlers:
    """One method a subject; versions themselves never change."""

    def __init__(self, drafts: Drafts) -> None:
        self._drafts = drafts

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            subjects.VERSIONS_RESOLVE: Endpoint(VersionsResolve, self.resolve),
            subjects.VERSIONS_GET: Endpoint(VersionGet, self.get_version),
            subjects.VERSIONS_LIST: Endpoint(VersionsList, self.list),
            subjects.VERSIONS_READ: Endpoint(VersionRead, self.read),
            subjects.VERSIONS_PUBLISH: Endpoint(VersionPublish, self.publish),
            subjects.VERSIONS_COMPARE: Endpoint(VersionsCompare, self.compare),
            subjects.NODE_TYPES_LIST: Endpoint(NodeTypesList, self.list_node_types),
        }

    async def list(self, request: VersionsList) -> VersionPage:
        async with self._drafts.snapshot() as connection:
            found = await self._drafts.find(connection, request.pipeline)
            rows = await store.list_versions(connection, found["id"], request)
        page = rows[: request.limit]
        return VersionPage(
            versions=[_view(row, found) for row in page],
            next_after=page[-1]["number"] if len(rows) > len(page) else None,
        )

    async def read(self, request: VersionRead) -> PipelineVersion:
        async with self._drafts.snapshot() as connection:
            found = await self._drafts.find(connection, request.pipeline)
            row = await self._version(connection, found, request.number)
        return _view(row, found)

    async def publish(self, request: VersionPublish) -> Pipeline:
        """New runs use it; its number stays what it was."""
        async with self._drafts.transaction() as connection:
            found = await self._drafts.lock(connection, request.pipeline, request.if_revision)
            row = await self._version(connection, found, request.number)
            status = after_publish(PipelineStatus(found["status"]), found["slug"])
            if row["number"] != found["active_version"]:
                await store.activate(connection, found["id"], row, status)
            return await self._drafts.read(connection, str(found["id"]))

    async def compare(self, request: VersionsCompare) -> VersionDifference:
        async with self._drafts.snapshot() as connection:
            found = await self._drafts.find(connection, request.pipeline)
            before = await self._version(connection, found, request.number)
            if request.other is None:
                after = await self._drafts.document(connection, found)
            else:
                other = await self._version(connection, found, request.other)
                after = PipelineDocument.model_validate(other["document"])
        return difference(
            PipelineDocument.model_validate(before["document"]), after, number=request.number, other=request.other
        )

    async def _version(self, connection: Connection, found: dict[str, Any], number: int) -> dict[str, Any]:
        row = await store.read_version(connection, found["id"], number)
        if row is None:
            place = path_to("pipelines", found["slug"], "versions")
            raise NotFoundError(
                "version_not_found",
                f"Pipeline '{found['slug']}' has no version {number}. Its active one is "
                f"{found['active_version'] or 'none'}; GET {place} lists all.",
            )
        return row

    async def resolve(self, request: VersionsResolve) -> VersionsResolved:
        """In the order of the question; an error for each that starts no run."""
        async with self._drafts.connection() as connection:
            rows = await store.resolve(connection, request.pipelines)
            by_name = {row["slug"]: row for row in rows} | {row["id"]: row for row in rows}
            found = {name: by_name.get(store.as_id(name) or name) for name in request.pipelines}
            slugs = await store.all_slugs(connection) if None in found.values() else []
        return VersionsResolved(versions=[_resolved(name, found[name], slugs) for name in request.pipelines])

    async def get_version(self, request: VersionGet) -> PlainReply:
        async with self._drafts.connection() as connection:
            compiled = await store.load_version(connection, request.version_id)
        if compiled is None:
            raise NotFoundError("version_not_found", f"There is no version {request.version_id}.")
        return PlainReply(compiled)

    async def list_node_types(self, request: NodeTypesList) -> NodeTypeList:
        async with self._drafts.connection() as connection:
            return NodeTypeList(node_types=await self._drafts.node_types.views(connection))


def _view(row: dict[str, Any], found: dict[str, Any]) -> PipelineVersion:
    is_active = row["number"] == found["active_version"]
    return PipelineVersion.model_validate({**row, "pipeline_id": found["id"], "is_active": is_active})


def _refusal(row: dict[str, Any]) -> ServiceError | None:
    try:
        check_allowed("execute", PipelineStatus(row["status"]), row["slug"])
    except ConflictError as error:
        return error
    return None


def _resolved(name: str, row: dict[str, Any] | None, slugs: list[str]) -> ResolvedVersion:
    error = pipeline_not_found(name, slugs) if row is None else _refusal(row)
    problem: Problem | None = error.problem if error is not None else None
    return ResolvedVersion(
        pipeline=name,
        version_id=row["version_id"] if row is not None and error is None else None,
        error=problem,
    )
