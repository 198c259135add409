"""Answers start requests: with the run that they made, with one that is there already, or with a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from services.coordinator.requests import StartRequest, another_body, digest_of
from services.coordinator.store.starting import find_by_id, find_by_key, find_by_slug
from shared.contracts.runs import RunStarted
from shared.contracts.states import RunStatus
from shared.errors import InvalidError, ServiceError, UnavailableError
from shared.postgres import Connection


def answer(request: StartRequest, error: ServiceError | None) -> None:
    """With the run that it made, or with this error."""
    if request.answer.done():
        return
    if error is not None:
        request.answer.set_exception(error)
    else:
        usual = RunStatus.PENDING if request.request.hold else RunStatus.RUNNING
        status = RunStatus.FAILED if request.refusal is not None else usual
        request.answer.set_result(RunStarted(run_id=request.run_id, status=status))


def answer_unavailable(requests: Iterable[StartRequest]) -> None:
    detail = "The database is not available now; the run was not started. Try again in a few seconds."
    for request in requests:
        answer(request, UnavailableError("database_unavailable", detail, retry_after_s=2.0))


async def answer_existing(connection: Connection, requests: Sequence[StartRequest]) -> None:
    """These made no run: the one that is there under their id or key is the answer.

    Also when it could not be started any more, because its pipeline was archived or deleted since: to ask again for
    what was started is no new start.
    """
    if not requests:
        return
    by_id = {row["id"]: row for row in await find_by_id(connection, [request.run_id for request in requests])}
    keyed = [request for request in requests if request.request.idempotency_key is not None]
    by_key = await _find_by_key(connection, [request for request in keyed if request.run_id not in by_id])
    for request in requests:
        _answer_existing(request, by_id.get(request.run_id) or by_key.get(_key(request)))


async def _find_by_key(
    connection: Connection, requests: Sequence[StartRequest]
) -> dict[tuple[str, str | None], dict[str, Any]]:
    known = [
        (request.pipeline_id, str(request.request.idempotency_key))
        for request in requests
        if request.pipeline_id is not None
    ]
    # The definition service knows their pipelines no more; our runs remember what those were called.
    gone = [
        (request.request.pipeline, str(request.request.idempotency_key))
        for request in requests
        if request.pipeline_id is None
    ]
    rows = await find_by_key(connection, known) if known else []
    named = await find_by_slug(connection, gone) if gone else []
    return {(str(row["pipeline_id"]), row["idempotency_key"]): row for row in rows} | {
        (row["pipeline_slug"], row["idempotency_key"]): row for row in named
    }


def _key(request: StartRequest) -> tuple[str, str | None]:
    return str(request.pipeline_id or request.request.pipeline), request.request.idempotency_key


def _answer_existing(request: StartRequest, row: dict[str, Any] | None) -> None:
    if row is not None and _is_same(request, row):
        request.refusal = None
        if not request.answer.done():
            request.answer.set_result(RunStarted(run_id=row["id"], status=RunStatus(row["status"])))
    elif request.refusal is not None and not request.is_from_stream:
        answer(request, request.refusal)
    elif row is None:
        answer(request, UnavailableError("not_started", "The run was not started. Send it again.", retry_after_s=1))
    else:
        what = f"idempotency key '{request.request.idempotency_key}'" if row["id"] != request.run_id else "run_id"
        answer(request, another_body(row["id"], what))


def _is_same(request: StartRequest, row: dict[str, Any]) -> bool:
    """True when the run was started with this body, whatever has become of its pipeline."""
    stored = bytes(row["request_sha256"]).hex()
    if stored == request.digest:
        return True
    names = (row["pipeline_slug"], str(row["pipeline_id"]))
    if request.pipeline_id is not None or row["pipeline_id"] is None or request.request.pipeline not in names:
        return False
    try:
        asked = request.request
        return digest_of(str(row["pipeline_id"]), asked.input, hold=asked.hold) == stored
    except InvalidError:
        return False
