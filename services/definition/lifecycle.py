"""What may be done to a pipeline in which state: one table, and the refusal that tells of it; pure."""

from __future__ import annotations

from shared.contracts.states import PipelineStatus
from shared.errors import ConflictError

DRAFT, ACTIVE, ARCHIVED = PipelineStatus.DRAFT, PipelineStatus.ACTIVE, PipelineStatus.ARCHIVED

#: Action -> the states it is possible in. Archived is the end: what was archived starts nothing ever again.
ACTIONS: dict[str, frozenset[PipelineStatus]] = {
    "publish": frozenset({DRAFT, ACTIVE}),
    "execute": frozenset({ACTIVE}),
    "archive": frozenset({ACTIVE}),
    "delete": frozenset({DRAFT, ACTIVE, ARCHIVED}),
}
#: A state that refuses something -> the name of the refusal, and what its user may do instead.
REFUSALS = {
    DRAFT: ("pipeline_not_published", "Publish it first: POST /api/v3/pipelines/{slug}/publish."),
    ARCHIVED: ("pipeline_archived", "Create it under another slug, from its export."),
}


def after_publish(status: PipelineStatus, slug: str) -> PipelineStatus:
    """Of the draft or of an older version; raises ConflictError when it cannot be published any more."""
    check_allowed("publish", status, slug)
    return ACTIVE


def after_archive(status: PipelineStatus, slug: str) -> PipelineStatus:
    """Archiving twice is archiving once; raises ConflictError for a draft, which starts no runs anyway."""
    if status is not ARCHIVED:
        check_allowed("archive", status, slug)
    return ARCHIVED


def check_allowed(action: str, status: PipelineStatus, slug: str) -> None:
    """Raises ConflictError with the state that the pipeline is in and what is allowed from there."""
    if status in ACTIONS[action]:
        return
    allowed = tuple(name for name, states in ACTIONS.items() if status in states)
    kind, instead = REFUSALS[status]
    raise ConflictError(
        kind,
        f"Pipeline '{slug}' is {status}; '{action}' is not possible from there. Possible are: {', '.join(allowed)}. "
        + instead.format(slug=slug),
        state=status,
        allowed=allowed,
    )
