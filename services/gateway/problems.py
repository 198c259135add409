"""Every refusal as problem details (RFC 9457), in words that say what, where and what to do."""

from __future__ import annotations

import math
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from shared.contracts.problems import FieldProblem, Problem, pointer_to
from shared.errors import ServiceError
from shared.logging import get_logger

log = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
#: As nginx counts it.
CLIENT_LEFT = 499


def problem_response(problem: Problem) -> Response:
    headers = {}
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(problem.retry_after_s))
    if problem.status == 401:
        headers["www-authenticate"] = 'Bearer realm="pipewright"'
    body = problem.model_dump(mode="json", exclude_none=True)
    return Response(orjson.dumps(body), problem.status, headers, MEDIA_TYPE)


async def on_service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return problem_response(error.problem)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    findings = [_finding(item) for item in error.errors()]
    first = findings[0]
    return problem_response(
        Problem(
            type="invalid_request",
            title="Invalid request",
            status=422,
            detail=f"{first.pointer or 'the body'}: {first.detail}. Correct it and send it again.",
            errors=tuple(findings),
        )
    )


def _finding(item: Any) -> FieldProblem:
    place = [part for part in item["loc"] if part != "body"]
    return FieldProblem(pointer=pointer_to(place), detail=str(item["msg"]))


async def on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {
        404: f"There is nothing at {request.url.path}. /docs lists all routes.",
        405: f"{request.method} is not possible on {request.url.path}.",
    }
    detail = words.get(error.status_code, str(error.detail))
    problem = Problem(type="http_error", title=str(error.detail), status=max(400, error.status_code), detail=detail)
    response = problem_response(problem)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    if error.status_code == 405:
        response.headers["allow"] = ", ".join(sorted(_allowed(request)))
    return response


def _allowed(request: Request) -> set[str]:
    """Of all routes on this path; Starlette itself tells of the first one alone."""
    return {
        method
        for route in request.app.routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in getattr(route, "methods", None) or ()
    }


async def on_fault(request: Request, error: Exception) -> Response:
    log.error("a request failed", path=request.url.path, method=request.method, exc_info=error)
    return problem_response(
        Problem(
            type="internal_error",
            title="Internal error",
            status=500,
            detail="The gateway could not answer because of a fault of its own. Its log says more.",
        )
    )


async def on_left(request: Request, error: Exception) -> Response:
    """Whoever sent it has gone before it was whole: nobody hears the answer, and nothing is wrong with us."""
    return Response(status_code=CLIENT_LEFT)


def add_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ClientDisconnect, on_left)
    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_fault)
