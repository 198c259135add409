"""Drafts as they lie in the database: found, locked, read, checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from services.definition import store
from services.definition.catalogue import NodeTypes
from services.definition.loose import all_findings
from services.definition.validation import Catalogue, check, findings_of
from shared.contracts.pipelines import Pipeline, PipelineDocument
from shared.contracts.problems import FieldProblem
from shared.errors import ChangedMeanwhileError, NotFoundError, did_you_mean
from shared.postgres import Connection, Pool, connection_for


class Drafts:
    """What all answers of the definition service stand on."""

    def __init__(self, pool: Pool, node_types: NodeTypes) -> None:
        self._pool = pool
        self.node_types = node_types

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """For what one statement tells; trouble with the database becomes an answer in words."""
        return connection_for(self._pool)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """All or nothing."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """For reading: everything as it was at one moment, and nobody who edits is kept waiting."""
        async with self.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield connection

    async def check(self, connection: Connection, document: PipelineDocument) -> Catalogue:
        """In a thread: a large document takes a second, and other questions must be answered meanwhile."""
        catalogue = await self.node_types.known(connection)
        await asyncio.to_thread(check, document, catalogue)
        return catalogue

    async def findings(
        self, connection: Connection, document: PipelineDocument, *, is_partial: bool = False
    ) -> list[FieldProblem]:
        """All that is wrong with it; of a partial one without what only edges can put right."""
        catalogue = await self.node_types.known(connection)
        return await asyncio.to_thread(findings_of, document, catalogue, is_partial=is_partial)

    async def all_findings(self, connection: Connection, raw: Any) -> list[FieldProblem]:
        """All that is wrong with what may not even be a document."""
        catalogue = await self.node_types.known(connection)
        return await asyncio.to_thread(all_findings, raw, catalogue)

    async def find(self, connection: Connection, reference: str, *, is_locked: bool = False) -> dict[str, Any]:
        """The pipeline; raises NotFoundError."""
        found = await store.find_pipeline(connection, reference, is_locked=is_locked)
        if found is None:
            raise await self.missing(connection, reference)
        return found

    async def lock(self, connection: Connection, reference: str, if_revision: int | None = None) -> dict[str, Any]:
        """The pipeline, for an edit; raises NotFoundError, or ChangedMeanwhileError when it has another revision."""
        found = await self.find(connection, reference, is_locked=True)
        if if_revision is not None and found["revision"] != if_revision:
            raise ChangedMeanwhileError(
                "changed_meanwhile",
                f"Pipeline '{found['slug']}' has revision {found['revision']} now, not {if_revision}. "
                "Read it again and repeat your change.",
            )
        return found

    async def missing(self, connection: Connection, reference: str) -> NotFoundError:
        return pipeline_not_found(reference, await store.all_slugs(connection))

    async def read(self, connection: Connection, reference: str) -> Pipeline:
        found = await self.find(connection, reference)
        nodes = await store.load_nodes(connection, found["id"])
        edges = await store.load_edges(connection, found["id"])
        return Pipeline.model_validate({**found, "nodes": nodes, "edges": edges})

    async def document(self, connection: Connection, found: dict[str, Any]) -> PipelineDocument:
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


def pipeline_not_found(reference: str, slugs: list[str]) -> NotFoundError:
    return NotFoundError("pipeline_not_found", f"There is no pipeline '{reference}'.{did_you_mean(reference, slugs)}")
