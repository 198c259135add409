"""Which state a pipeline has after what is asked for; pure."""

from __future__ import annotations

from shared.contracts.states import PipelineStatus
from shared.errors import ConflictError


def after_publish(status: PipelineStatus, slug: str) -> PipelineStatus:
    """Raises ConflictError when it cannot be published any more."""
    if status is PipelineStatus.ARCHIVED:
        raise archived(slug)
    return PipelineStatus.ACTIVE


def after_archive(status: PipelineStatus, slug: str) -> PipelineStatus:
    """Raises ConflictError for a draft: it starts no runs anyway."""
    if status is PipelineStatus.DRAFT:
        raise ConflictError(
            "pipeline_not_published",
            f"Pipeline '{slug}' is a draft; only an active one can be archived. Delete it instead.",
        )
    return PipelineStatus.ARCHIVED


def archived(slug: str) -> ConflictError:
    return ConflictError("pipeline_archived", f"Pipeline '{slug}' is archived. Create it under another slug.")
