"""Answers to requests about pipelines, versions and node types; one method a subject."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg

from services.definition import store
from services.definition.catalogue import NodeTypes
from services.definition.compile import compile_version, digest_of, slug_from
from services.definition.lifecycle import after_archive, after_publish, archived
from services.definition.validation import Catalogue, check, read_document
from shared.bus.rpc import Endpoint, PlainReply
from shared.clock import Clock, new_id
from shared.contracts import subjects
from shared.contracts.pipelines import (
    Applied,
    NodeTypeList,
    NodeTypesList,
    Pipeline,
    PipelineApply,
    PipelineCreate,
    PipelineDocument,
    PipelineGet,
    PipelineList,
    PipelinePage,
    PipelineUpdate,
    ResolvedVersion,
    VersionGet,
    VersionsResolve,
    VersionsResolved,
)
from shared.contracts.problems import Problem
from shared.contracts.states import PipelineStatus
from shared.errors import ConflictError, InvalidError, NotFoundError, ServiceError, UnavailableError
from shared.postgres import Connection, Pool

#: How many numbers are tried behind a slug that was made from a name.
SLUGS_TRIED = 100


class PipelineHandlers:
    """Everything that changes is changed in one transaction, with the pipeline locked."""

    def __init__(self, pool: Pool, node_types: NodeTypes, clock: Clock) -> None:
        self._pool = pool
        self._node_types = node_types
        self._clock = clock

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            subjects.PIPELINES_CREATE: Endpoint(PipelineCreate, self.create),
            subjects.PIPELINES_APPLY: Endpoint(PipelineApply, self.apply),
            subjects.PIPELINES_GET: Endpoint(PipelineGet, self.get),
            subjects.PIPELINES_LIST: Endpoint(PipelineList, self.list),
            subjects.PIPELINES_UPDATE: Endpoint(PipelineUpdate, self.update),
            subjects.PIPELINES_DELETE: Endpoint(PipelineGet, self.delete),
            subjects.PIPELINES_PUBLISH: Endpoint(PipelineGet, self.publish),
            subjects.PIPELINES_ARCHIVE: Endpoint(PipelineGet, self.archive),
            subjects.VERSIONS_RESOLVE: Endpoint(VersionsResolve, self.resolve),
            subjects.VERSIONS_GET: Endpoint(VersionGet, self.get_version),
            subjects.NODE_TYPES_LIST: Endpoint(NodeTypesList, self.list_node_types),
        }

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        try:
            async with self._pool.connection() as connection, connection.transaction():
                yield connection
        except psycopg.errors.UntranslatableCharacter as error:
            raise InvalidError(
                "invalid_pipeline",
                "The document holds the character U+0000, which cannot be stored. Take it out.",
            ) from error
        except psycopg.OperationalError as error:
            raise UnavailableError(
                "database_unavailable",
                "The database is not available now. Try again in a few seconds.",
                retry_after_s=2.0,
            ) from error

    async def create(self, request: PipelineCreate) -> Pipeline:
        document = read_document(request.document)
        async with self._transaction() as connection:
            return await self._create(connection, document)

    async def _create(self, connection: Connection, document: PipelineDocument) -> Pipeline:
        await self._check(connection, document)
        pipeline_id = new_id()
        slug = await self._insert(connection, pipeline_id, document)
        await store.replace_graph(connection, pipeline_id, document)
        return await self._read(connection, slug)

    async def _check(self, connection: Connection, document: PipelineDocument) -> Catalogue:
        """In a thread: a large document takes a second, and other questions must be answered meanwhile."""
        catalogue = await self._node_types.known(connection)
        await asyncio.to_thread(check, document, catalogue)
        return catalogue

    async def _insert(self, connection: Connection, pipeline_id: UUID, document: PipelineDocument) -> str:
        """Under the slug asked for, or one made from the name; returns it."""
        if document.slug is not None:
            if not await store.insert_pipeline(connection, pipeline_id, document.slug, document):
                raise _slug_taken(document.slug)
            return document.slug
        slug = slug_from(document.name)
        for number in range(1, SLUGS_TRIED):
            tried = slug if number == 1 else f"{slug}-{number}"
            if await store.insert_pipeline(connection, pipeline_id, tried, document):
                return tried
        raise _slug_taken(slug)

    async def apply(self, request: PipelineApply) -> Applied:
        """Create or update by slug, and publish what changed."""
        document = read_document(request.document)
        slug = document.slug or slug_from(document.name)
        document = document.model_copy(update={"slug": slug})
        async with self._transaction() as connection:
            found = await store.find_pipeline(connection, slug, is_locked=True)
            if found is None:
                await self._create(connection, document)
                outcome = "created"
            elif await self._document(connection, found) == document:
                outcome = "unchanged"
            else:
                await self._check(connection, document)
                await store.update_pipeline(connection, found["id"], document)
                await store.replace_graph(connection, found["id"], document)
                outcome = "updated"
            if request.publish:
                is_new = await self._publish(connection, slug)
                outcome = "updated" if is_new and outcome == "unchanged" else outcome
            return Applied.model_validate({"pipeline": await self._read(connection, slug), "outcome": outcome})

    async def get(self, request: PipelineGet) -> Pipeline:
        async with self._transaction() as connection:
            return await self._read(connection, request.pipeline)

    async def list(self, request: PipelineList) -> PipelinePage:
        async with self._transaction() as connection:
            rows = await store.list_pipelines(connection, request)
        page = rows[: request.limit]
        return PipelinePage(
            pipelines=[Pipeline.model_validate(row) for row in page],
            next_after=page[-1]["slug"] if len(rows) > len(page) else None,
        )

    async def update(self, request: PipelineUpdate) -> Pipeline:
        """The draft becomes the document; runs go on with what is published."""
        document = read_document(request.document)
        async with self._transaction() as connection:
            found = await self._find(connection, request.pipeline)
            await self._check(connection, document)
            try:
                await store.update_pipeline(connection, found["id"], document)
            except psycopg.errors.UniqueViolation as error:
                raise _slug_taken(str(document.slug)) from error
            await store.replace_graph(connection, found["id"], document)
            return await self._read(connection, str(found["id"]))

    async def delete(self, request: PipelineGet) -> Pipeline:
        """Frees the slug at once; runs that go on are not touched. The answer is what was deleted."""
        async with self._transaction() as connection:
            pipeline = await self._read(connection, request.pipeline, is_locked=True)
            await store.delete_pipeline(connection, pipeline.id)
            return pipeline

    async def publish(self, request: PipelineGet) -> Pipeline:
        async with self._transaction() as connection:
            await self._publish(connection, request.pipeline)
            return await self._read(connection, request.pipeline)

    async def _publish(self, connection: Connection, reference: str) -> bool:
        """Make a version of the draft; False when the active one is the same already."""
        found = await self._find(connection, reference)
        status = after_publish(PipelineStatus(found["status"]), found["slug"])
        document = await self._document(connection, found)
        digest = digest_of(document)
        if found["published_sha256"] == digest:
            return False
        catalogue = await self._check(connection, document)
        version = await asyncio.to_thread(
            compile_version,
            document,
            catalogue,
            version_id=new_id(),
            pipeline_id=found["id"],
            slug=found["slug"],
            number=await store.next_number(connection, found["id"]),
            published_at=self._clock.now(),
        )
        await store.publish(connection, version, status, digest)
        return True

    async def archive(self, request: PipelineGet) -> Pipeline:
        """It starts no runs any more; those that go on are not touched."""
        async with self._transaction() as connection:
            found = await self._find(connection, request.pipeline)
            status = after_archive(PipelineStatus(found["status"]), found["slug"])
            await store.set_status(connection, found["id"], status)
            return await self._read(connection, request.pipeline)

    async def resolve(self, request: VersionsResolve) -> VersionsResolved:
        """In the order of the question; an error for each that starts no run."""
        async with self._transaction() as connection:
            rows = await store.resolve(connection, request.pipelines)
            found = {row["slug"]: row for row in rows} | {str(row["id"]): row for row in rows}
            slugs = await store.all_slugs(connection) if set(request.pipelines) - set(found) else []
        return VersionsResolved(versions=[_resolved(name, found.get(name), slugs) for name in request.pipelines])

    async def get_version(self, request: VersionGet) -> PlainReply:
        async with self._transaction() as connection:
            compiled = await store.load_version(connection, request.version_id)
        if compiled is None:
            raise NotFoundError("version_not_found", f"There is no version {request.version_id}.")
        return PlainReply(compiled)

    async def list_node_types(self, request: NodeTypesList) -> NodeTypeList:
        async with self._transaction() as connection:
            return NodeTypeList(node_types=await self._node_types.views(connection))

    async def _find(self, connection: Connection, reference: str) -> dict[str, Any]:
        found = await store.find_pipeline(connection, reference, is_locked=True)
        if found is None:
            raise _not_found(reference, await store.all_slugs(connection))
        return found

    async def _read(self, connection: Connection, reference: str, *, is_locked: bool = False) -> Pipeline:
        found = await store.find_pipeline(connection, reference, is_locked=is_locked)
        if found is None:
            raise _not_found(reference, await store.all_slugs(connection))
        nodes = await store.load_nodes(connection, found["id"])
        edges = await store.load_edges(connection, found["id"])
        return Pipeline.model_validate({**found, "nodes": nodes, "edges": edges})

    async def _document(self, connection: Connection, found: dict[str, Any]) -> PipelineDocument:
        return PipelineDocument.model_validate(
            {
                "name": found["name"],
                "slug": found["slug"],
                "description": found["description"],
                "input_schema": found["input_schema"],
                "nodes": await store.load_nodes(connection, found["id"]),
                "edges": await store.load_edges(connection, found["id"]),
            }
        )


def _slug_taken(slug: str) -> ConflictError:
    return ConflictError("slug_taken", f"Another pipeline has the slug '{slug}'. Choose another, or update that one.")


def _not_found(reference: str, slugs: list[str]) -> NotFoundError:
    near = difflib.get_close_matches(reference, slugs, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return NotFoundError("pipeline_not_found", f"There is no pipeline '{reference}'.{hint}")


def _resolved(name: str, row: dict[str, Any] | None, slugs: list[str]) -> ResolvedVersion:
    error: ServiceError | None = None
    if row is None:
        error = _not_found(name, slugs)
    elif row["status"] == PipelineStatus.ARCHIVED:
        error = archived(row["slug"])
    elif row["version_id"] is None:
        error = ConflictError(
            "pipeline_not_published",
            f"Pipeline '{row['slug']}' is a draft. Publish it first: POST /api/v3/pipelines/{row['slug']}/publish.",
        )
    problem: Problem | None = error.problem if error is not None else None
    return ResolvedVersion(
        pipeline=name,
        version_id=row["version_id"] if row is not None and error is None else None,
        error=problem,
    )
