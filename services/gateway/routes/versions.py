"""Routes of published versions: read, compared, and published again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from services.gateway.access import needs
from services.gateway.etags import IfRevision, etag_of
from services.gateway.openapi.answers import answers
from services.gateway.routes.paging import AfterNumber, Limit, SortByNumber
from services.gateway.wiring import Wired, answer
from shared.contracts import subjects
from shared.contracts.api_keys import Scope
from shared.contracts.pipelines import Pipeline
from shared.contracts.versions import (
    PipelineVersion,
    VersionDifference,
    VersionPage,
    VersionPublish,
    VersionRead,
    VersionsCompare,
    VersionsList,
)

router = APIRouter(prefix="/pipelines/{pipeline}/versions", tags=["versions"])

READ = [needs(Scope.PIPELINES_READ)]

Number = Annotated[int, Path(ge=1, le=2_147_483_647, description="Number of the version")]


@router.get("", dependencies=READ, responses=answers(VersionPage))
async def list_versions(
    pipeline: str,
    wired: Wired,
    limit: Limit = 50,
    after: AfterNumber = None,
    sort: SortByNumber = "-number",
) -> Response:
    """Versions, newest first, without their documents."""
    wanted = VersionsList(pipeline=pipeline, limit=limit, after=after, sort=sort)
    return answer(await wired.rpc.call_raw(subjects.VERSIONS_LIST, wanted))


@router.get("/{number}", dependencies=READ, responses=answers(PipelineVersion))
async def get_version(pipeline: str, number: Number, wired: Wired) -> Response:
    """A version, with the document that was published."""
    return answer(await wired.rpc.call_raw(subjects.VERSIONS_READ, VersionRead(pipeline=pipeline, number=number)))


@router.post(
    "/{number}/publish",
    dependencies=[needs(Scope.PIPELINES_WRITE)],
    responses=answers(Pipeline, refuses=["pipeline_archived"]),
)
async def publish_version(pipeline: str, number: Number, wired: Wired, if_revision: IfRevision) -> Response:
    """Let new runs use this version again; the draft stays as it is."""
    wanted = VersionPublish(pipeline=pipeline, number=number, if_revision=if_revision)
    found = await wired.rpc.call_raw(subjects.VERSIONS_PUBLISH, wanted)
    return answer(found, headers=etag_of(found))


@router.get("/{number}/difference", dependencies=READ, responses=answers(VersionDifference))
async def compare_versions(
    pipeline: str,
    number: Number,
    wired: Wired,
    to: Annotated[
        int | None, Query(ge=1, le=2_147_483_647, description="Number of the other version; left out: the draft")
    ] = None,
) -> Response:
    """What changed from this version to another one, or to the draft: by node, edge and value."""
    wanted = VersionsCompare(pipeline=pipeline, number=number, other=to)
    return answer(await wired.rpc.call_raw(subjects.VERSIONS_COMPARE, wanted))
