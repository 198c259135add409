"""Answers to requests about pipelines: one method a subject."""

from __future__ import annotations

import asyncio
from uuid import UUID

import psycopg

from services.definition import store
from services.definition.compile import compile_version, digest_of, slug_from, whole_digest_of
from services.definition.drafts import Drafts
from services.definition.lifecycle import after_archive, after_publish
from services.definition.validation import read_document
from shared.bus.rpc import Endpoint
from shared.clock import Clock, new_id
from shared.contracts import subjects
from shared.contracts.edits import Findings, PipelineValidate
from shared.contracts.pipelines import (
    Applied,
    Pipeline,
    PipelineApply,
    PipelineCreate,
    PipelineDocument,
    PipelineGet,
    PipelineList,
    PipelinePage,
    PipelineUpdate,
)
from shared.contracts.states import PipelineStatus
from shared.errors import ConflictError, InvalidError
from shared.postgres import Connection

#: How many numbers are tried behind a slug that was made from a name.
SLUGS_TRIED = 100


class PipelineHandlers:
    """Everything that changes is changed in one transaction, with the pipeline locked."""

    def __init__(self, drafts: Drafts, clock: Clock) -> None:
        self._drafts = drafts
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
            subjects.PIPELINES_VALIDATE: Endpoint(PipelineValidate, self.validate),
            subjects.PIPELINES_EXPORT: Endpoint(PipelineGet, self.export),
        }

    async def create(self, request: PipelineCreate) -> Pipeline:
        document = read_document(request.document)
        async with self._drafts.transaction() as connection:
            if request.idempotency_key is None:
                return await self._create(connection, document)
            digest = whole_digest_of(document)
            made = await store.claim_key(connection, request.idempotency_key, digest)
            if made["pipeline_id"] is None:
                pipeline = await self._create(connection, document)
                await store.keep_key(connection, request.idempotency_key, pipeline.id)
                return pipeline
            return await self._made_before(connection, request.idempotency_key, made, digest)

    async def _made_before(self, connection: Connection, key: str, made: store.Row, digest: str) -> Pipeline:
        if made["document_sha256"] != digest:
            raise ConflictError(
                "another_body",
                f"A pipeline was made with the idempotency key '{key}' and another document. Use a new key.",
            )
        return await self._drafts.read(connection, str(made["pipeline_id"]))

    async def _create(self, connection: Connection, document: PipelineDocument) -> Pipeline:
        await self._drafts.check(connection, document)
        pipeline_id = new_id()
        slug = await self._insert(connection, pipeline_id, document)
        await store.replace_graph(connection, pipeline_id, document)
        return await self._drafts.read(connection, slug)

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
        async with self._drafts.transaction() as connection:
            found = await store.find_pipeline(connection, slug, is_locked=True)
            if found is None:
                await self._create(connection, document)
                outcome = "created"
            elif await self._drafts.document(connection, found) == document:
                outcome = "unchanged"
            else:
                await self._drafts.check(connection, document)
                await store.update_pipeline(connection, found["id"], document)
                await store.replace_graph(connection, found["id"], document)
                outcome = "updated"
            if request.publish:
                is_new = await self._publish(connection, slug)
                outcome = "updated" if is_new and outcome == "unchanged" else outcome
            return Applied.model_validate({"pipeline": await self._drafts.read(connection, slug), "outcome": outcome})

    async def get(self, request: PipelineGet) -> Pipeline:
        async with self._drafts.snapshot() as connection:
            return await self._drafts.read(connection, request.pipeline)

    async def list(self, request: PipelineList) -> PipelinePage:
        async with self._drafts.snapshot() as connection:
            rows = await store.list_pipelines(connection, request)
        page = rows[: request.limit]
        return PipelinePage(
            pipelines=[Pipeline.model_validate(row) for row in page],
            next_after=page[-1]["slug"] if len(rows) > len(page) else None,
        )

    async def update(self, request: PipelineUpdate) -> Pipeline:
        """The draft becomes the document; runs go on with what is published."""
        document = read_document(request.document)
        async with self._drafts.transaction() as connection:
            found = await self._drafts.lock(connection, request.pipeline, request.if_revision)
            await self._drafts.check(connection, document)
            try:
                await store.update_pipeline(connection, found["id"], document)
            except psycopg.errors.UniqueViolation as error:
                raise _slug_taken(str(document.slug)) from error
            await store.replace_graph(connection, found["id"], document)
            return await self._drafts.read(connection, str(found["id"]))

    async def delete(self, request: PipelineGet) -> Pipeline:
        """Frees the slug at once; runs that go on are not touched. The answer is what was deleted."""
        async with self._drafts.transaction() as connection:
            await self._drafts.lock(connection, request.pipeline, request.if_revision)
            pipeline = await self._drafts.read(connection, request.pipeline)
            await store.delete_pipeline(connection, pipeline.id)
            return pipeline

    async def publish(self, request: PipelineGet) -> Pipeline:
        async with self._drafts.transaction() as connection:
            await self._publish(connection, request.pipeline, request.if_revision)
            return await self._drafts.read(connection, request.pipeline)

    async def _publish(self, connection: Connection, reference: str, if_revision: int | None = None) -> bool:
        """Make a version of the draft; False when the active one is the same already."""
        found = await self._drafts.lock(connection, reference, if_revision)
        status = after_publish(PipelineStatus(found["status"]), found["slug"])
        document = await self._drafts.document(connection, found)
        digest = digest_of(document)
        if found["published_sha256"] == digest:
            return False
        catalogue = await self._drafts.check(connection, document)
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
        await store.publish(connection, version, document, status, digest)
        return True

    async def archive(self, request: PipelineGet) -> Pipeline:
        """It starts no runs any more; those that go on are not touched."""
        async with self._drafts.transaction() as connection:
            found = await self._drafts.lock(connection, request.pipeline, request.if_revision)
            status = after_archive(PipelineStatus(found["status"]), found["slug"])
            if status is not PipelineStatus(found["status"]):
                await store.set_status(connection, found["id"], status)
            return await self._drafts.read(connection, request.pipeline)

    async def validate(self, request: PipelineValidate) -> Findings:
        """Of a document, or of a draft as it would be published; nothing is saved."""
        async with self._drafts.snapshot() as connection:
            if request.pipeline is not None and request.document is None:
                found = await self._drafts.find(connection, request.pipeline)
                document = await self._drafts.document(connection, found)
                errors = await self._drafts.findings(connection, document)
            else:
                try:
                    errors = await self._drafts.all_findings(connection, request.document)
                except InvalidError as error:
                    errors = list(error.problem.errors)
        return Findings(is_valid=not errors, errors=errors)

    async def export(self, request: PipelineGet) -> PipelineDocument:
        """The draft as `apply` takes it."""
        async with self._drafts.snapshot() as connection:
            return await self._drafts.document(connection, await self._drafts.find(connection, request.pipeline))


def _slug_taken(slug: str) -> ConflictError:
    return ConflictError("slug_taken", f"Another pipeline has the slug '{slug}'. Choose another, or update that one.")
