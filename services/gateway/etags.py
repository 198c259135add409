"""Optimistic locking: a pipeline's revision is the ETag of the pipeline and of all its nodes and edges."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Depends, Header

from shared.contracts.problems import FieldProblem
from shared.errors import InvalidError

_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"')


def etag_of(value: dict[str, Any]) -> dict[str, str]:
    """The header of an answer that has a revision."""
    return {"etag": f'"{value["revision"]}"'}


async def revision_wanted(
    if_match: Annotated[
        str | None, Header(description="The ETag of what was read; refused with 412 when it differs")
    ] = None,
) -> int | None:
    """The revision that the caller edits; None when any will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise InvalidError(
            "invalid_etag",
            'If-Match must be one ETag as it was answered, for example "7" with its quotes, or *.',
            [FieldProblem(pointer="", detail="the header If-Match is no ETag of a pipeline")],
        )
    return int(found[1])


IfRevision = Annotated[int | None, Depends(revision_wanted)]
