"""Checks run requests: what is asked for, whether the input fits, and what names the request for ever."""

from __future__ import annotations

import asyncio
import hashlib
from asyncio import Future
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from services.coordinator.graph import Graph
from services.coordinator.state import RunId
from shared.clock import new_id
from shared.contracts.runs import RunRequested, RunStarted
from shared.errors import ConflictError, InvalidError, ServiceError, TooLargeError
from shared.input_schema import InputSchemaError, input_findings
from shared.storable import TOO_DEEP, holds_zero_character, is_too_deep

#: What a pipeline may be called in a request; slugs and ids are far shorter.
NAME_LIMIT = 200
#: A run's input; the gateway takes no larger body.
INPUT_LIMIT = 1024 * 1024


@dataclass(slots=True)
class StartRequest:
    """A request on its way; `answer` gets what became of it."""

    request: RunRequested
    run_id: RunId
    #: True on the stream: a refusal becomes a failed run, since nobody waits for an answer.
    is_from_stream: bool
    answer: Future[RunStarted]
    graph: Graph | None = None
    refusal: ServiceError | None = None
    digest: str = ""
    pipeline_id: UUID | None = field(default=None)
    #: The span under which its nodes are traced; None when nobody traces it.
    traceparent: str | None = None

    def refuse(self, error: ServiceError) -> None:
        self.refusal = error


def start_request(request: RunRequested, is_from_stream: bool, own_id: UUID | None = None) -> StartRequest:
    """The request with its run id; when its sender chose none it is `own_id`, or a new one."""
    future: Future[RunStarted] = asyncio.get_running_loop().create_future()
    return StartRequest(request, str(request.run_id or own_id or new_id()), is_from_stream, future)


def digest_of(pipeline: str, run_input: dict[str, Any], *, hold: bool = False) -> str:
    """SHA-256 of the canonical body, as hex; raises InvalidError for an input that cannot be written."""
    try:
        body = orjson.dumps({"pipeline": pipeline, "input": run_input, "hold": hold}, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise InvalidError("invalid_input", f"The input cannot be passed on: {error}. Send another one.") from error
    return hashlib.sha256(body).hexdigest()


def retry_digest_of(run_id: UUID, start_from: str) -> str:
    """The same of a retry, which is no other retry and no start."""
    return hashlib.sha256(f"retry {start_from} of {run_id}".encode()).hexdigest()


def another_body(run_id: RunId, what: str) -> ConflictError:
    return ConflictError(
        "another_body", f"Run {run_id} was started with this {what} and another body. Use a new one for a new run."
    )


def check_request(request: RunRequested) -> None:
    """What can be told without the pipeline; raises InvalidError for what could be neither stored nor passed on."""
    for field_name, text in (("pipeline", request.pipeline), ("idempotency_key", request.idempotency_key)):
        if text is not None and "\x00" in text:
            raise InvalidError(
                "invalid_request", f"'{field_name}' holds the character U+0000, which cannot be stored. Take it out."
            )
    if len(request.pipeline) > NAME_LIMIT:
        raise InvalidError("invalid_request", "'pipeline' is longer than any slug or id. Name a pipeline.")
    if is_too_deep(request.input):
        raise InvalidError("invalid_input", f"The input has {TOO_DEEP}. Send a flatter one.")


def check_input(run_input: dict[str, Any], graph: Graph) -> None:
    """Raises ServiceError when the input is too large, cannot be stored or does not fit the schema."""
    body = orjson.dumps(run_input)
    if len(body) > INPUT_LIMIT:
        raise TooLargeError(
            "input_too_large", f"The input has {len(body)} bytes; at most {INPUT_LIMIT} are taken. Send less."
        )
    if holds_zero_character(body):
        raise InvalidError(
            "invalid_input", "The input holds the character U+0000, which cannot be stored. Take it out."
        )
    if graph.input_schema:
        _check_schema(run_input, graph)


def _check_schema(run_input: dict[str, Any], graph: Graph) -> None:
    assert graph.input_schema is not None
    try:
        findings = input_findings(run_input, graph.input_schema)
    except InputSchemaError as error:
        raise InvalidError(
            "invalid_schema",
            f"The input_schema of pipeline '{graph.pipeline_slug}' cannot be used: {error}. "
            "Correct it and publish the pipeline again.",
        ) from error
    if findings:
        raise InvalidError(
            "invalid_input",
            f"The input does not fit pipeline '{graph.pipeline_slug}': "
            f"{findings[0].pointer}: {findings[0].detail}. Correct the input.",
            findings,
        )
