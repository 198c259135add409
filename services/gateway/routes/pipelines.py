"""Routes of pipelines."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response

from services.gateway.access import needs
from services.gateway.bodies import DOCUMENT_LIMIT, read_json, read_object
from services.gateway.etags import IfRevision, etag_of
from services.gateway.openapi.answers import answers, body_of, changes_of, with_yaml
from services.gateway.openapi.examples import ARCHIVED, DOCUMENT, DRAFT, as_written
from services.gateway.routes.paging import AfterSlug, Limit, SortBySlug
from services.gateway.wiring import Wired, answer, location
from shared.contracts import subjects
from shared.contracts.api_keys import Scope
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
    PipelinePatch,
    PipelineUpdate,
    written,
)
from shared.contracts.states import PipelineStatus
from shared.documents import to_yaml

router = APIRouter(prefix="/pipelines", tags=["pipelines"])

READ = [needs(Scope.PIPELINES_READ)]
WRITE = [needs(Scope.PIPELINES_WRITE)]


#: Publishing a pipeline of 10,000 nodes takes about a second.
EDIT_TIMEOUT_S = 60.0


@router.get("", dependencies=READ, responses=answers(PipelinePage))
async def list_pipelines(
    wired: Wired,
    limit: Limit = 50,
    after: AfterSlug = None,
    status: PipelineStatus | None = None,
    sort: SortBySlug = "slug",
) -> Response:
    """Pipelines by slug, without their nodes."""
    wanted = PipelineList(limit=limit, after=after, status=status, sort=sort)
    return answer(await wired.rpc.call_raw(subjects.PIPELINES_LIST, wanted))


@router.post(
    "",
    dependencies=WRITE,
    status_code=201,
    responses=answers(Pipeline, 201, example=DRAFT, refuses=["invalid_pipeline", "slug_taken", "another_body"]),
    openapi_extra=body_of(PipelineDocument),
)
async def create_pipeline(
    request: Request,
    wired: Wired,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> Response:
    """Create a draft with its nodes and edges, all or nothing."""
    document = await read_json(request, DOCUMENT_LIMIT)
    wanted = PipelineCreate(document=document, idempotency_key=idempotency_key)
    made = await wired.rpc.call_raw(subjects.PIPELINES_CREATE, wanted, EDIT_TIMEOUT_S)
    return answer(made, 201, location("pipelines", made["id"]) | etag_of(made))


@router.post(
    "/apply",
    dependencies=WRITE,
    responses=answers(Applied, refuses=["invalid_pipeline", "pipeline_archived"]),
    openapi_extra=body_of(PipelineDocument),
)
async def apply_pipeline(
    request: Request,
    wired: Wired,
    publish: Annotated[bool, Query(description="Also make a version of it, if anything changed")] = True,
) -> Response:
    """Create or update by slug, then publish; applying the same again changes nothing."""
    wanted = PipelineApply(document=await read_json(request, DOCUMENT_LIMIT), publish=publish)
    applied = await wired.rpc.call_raw(subjects.PIPELINES_APPLY, wanted, EDIT_TIMEOUT_S)
    return answer(applied, headers=etag_of(applied["pipeline"]))


@router.post("/validate", dependencies=READ, responses=answers(Findings), openapi_extra=body_of(PipelineDocument))
async def validate_document(request: Request, wired: Wired) -> Response:
    """Everything that is wrong with a document, each with its place; nothing is saved."""
    wanted = PipelineValidate(document=await read_json(request, DOCUMENT_LIMIT))
    return answer(await wired.rpc.call_raw(subjects.PIPELINES_VALIDATE, wanted, EDIT_TIMEOUT_S))


@router.get("/{pipeline}", dependencies=READ, responses=answers(Pipeline))
async def get_pipeline(pipeline: str, wired: Wired) -> Response:
    """A pipeline by slug or id, with its nodes and edges."""
    return await _ask(wired, subjects.PIPELINES_GET, pipeline)


@router.put(
    "/{pipeline}",
    dependencies=WRITE,
    responses=answers(Pipeline, refuses=["slug_taken"]),
    openapi_extra=body_of(PipelineDocument),
)
async def update_pipeline(pipeline: str, request: Request, wired: Wired, if_revision: IfRevision) -> Response:
    """Replace the draft; runs go on with the published version until the next publish."""
    document = await read_json(request, DOCUMENT_LIMIT)
    wanted = PipelineUpdate(pipeline=pipeline, document=document, if_revision=if_revision)
    found = await wired.rpc.call_raw(subjects.PIPELINES_UPDATE, wanted, EDIT_TIMEOUT_S)
    return answer(found, headers=etag_of(found))


@router.patch(
    "/{pipeline}",
    dependencies=WRITE,
    responses=answers(Pipeline, refuses=["slug_taken"]),
    openapi_extra=changes_of(PipelineDocument, {"description": "Reads a page.", "input_schema": None}),
)
async def patch_pipeline(pipeline: str, request: Request, wired: Wired, if_revision: IfRevision) -> Response:
    """Change what is sent of the draft, as a JSON Merge Patch (RFC 7396): null takes away, lists are replaced."""
    changes = await read_object(request, DOCUMENT_LIMIT)
    wanted = PipelinePatch(pipeline=pipeline, changes=changes, if_revision=if_revision)
    found = await wired.rpc.call_raw(subjects.PIPELINES_PATCH, wanted, EDIT_TIMEOUT_S)
    return answer(found, headers=etag_of(found))


@router.delete("/{pipeline}", dependencies=WRITE, status_code=204, response_model=None, responses=answers(None, 204))
async def delete_pipeline(pipeline: str, wired: Wired, if_revision: IfRevision) -> Response:
    """Delete a pipeline; its slug is free at once, and runs that go on are not touched."""
    await _ask(wired, subjects.PIPELINES_DELETE, pipeline, if_revision)
    return Response(status_code=204)


@router.post("/{pipeline}/publish", dependencies=WRITE, responses=answers(Pipeline, refuses=["pipeline_archived"]))
async def publish_pipeline(pipeline: str, wired: Wired, if_revision: IfRevision) -> Response:
    """Make an immutable version of the draft, which new runs use."""
    return await _ask(wired, subjects.PIPELINES_PUBLISH, pipeline, if_revision)


@router.post(
    "/{pipeline}/archive",
    dependencies=WRITE,
    responses=answers(Pipeline, example=ARCHIVED, refuses=["pipeline_not_published"]),
)
async def archive_pipeline(pipeline: str, wired: Wired, if_revision: IfRevision) -> Response:
    """Start no runs of it any more."""
    return await _ask(wired, subjects.PIPELINES_ARCHIVE, pipeline, if_revision)


@router.post("/{pipeline}/validate", dependencies=READ, responses=answers(Findings))
async def validate_pipeline(pipeline: str, wired: Wired) -> Response:
    """Everything that keeps the draft from being published, each with its place."""
    wanted = PipelineValidate(pipeline=pipeline)
    return answer(await wired.rpc.call_raw(subjects.PIPELINES_VALIDATE, wanted, EDIT_TIMEOUT_S))


@router.get(
    "/{pipeline}/export",
    dependencies=READ,
    responses=with_yaml(answers(PipelineDocument), to_yaml(as_written(DOCUMENT))),
)
async def export_pipeline(
    pipeline: str,
    wired: Wired,
    form: Annotated[Literal["json", "yaml"], Query(alias="format", description="json or yaml")] = "json",
) -> Response:
    """The draft as the document that create and `pipewright apply` take."""
    wanted = PipelineGet(pipeline=pipeline)
    document = written(await wired.rpc.call_raw(subjects.PIPELINES_EXPORT, wanted, EDIT_TIMEOUT_S))
    if form == "yaml":
        # Other requests have their turn meanwhile.
        return Response(await asyncio.to_thread(to_yaml, document), media_type="application/yaml")
    return answer(document)


async def _ask(wired: Wired, subject: str, pipeline: str, if_revision: int | None = None) -> Response:
    wanted = PipelineGet(pipeline=pipeline, if_revision=if_revision)
    found: Any = await wired.rpc.call_raw(subject, wanted, EDIT_TIMEOUT_S)
    return answer(found, headers=etag_of(found))
