"""The whole OpenAPI document against the running gateway: no answer that it does not promise, and no fault."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import Case, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.gateway.app import make_app
from services.gateway.settings import GatewaySettings
from tests.stack import API_KEY, Stack

#: No fault, and no answer, media type, body or header that is not in the document.
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
FLAT = "application/json"
OURS = "application/vnd.api+json"
HEADERS = {"authorization": f"Bearer {API_KEY}"}
DOCUMENT = make_app(GatewaySettings()).openapi()
PREFIX = "/api/v3"

# Streams of events go on until the run has ended, or for ever; they have tests of their own.
STREAMS = "/events$"
schema = schemathesis.openapi.from_dict(DOCUMENT).exclude(path_regex=STREAMS)
quick = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of its own: what is made, changed and ended at random here is in nobody's way."""
    with Stack(tmp_path_factory.mktemp("stack"), {}) as started:
        yield started


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


@pytest.mark.parametrize(("accept", "examples"), [(FLAT, 6), (OURS, 2)])
def test_every_answer_is_promised(accept: str, examples: int, stack: Stack, tmp_path: Path) -> None:
    """By the command of schemathesis: its pytest plugin makes all cases while tests are collected, in every process."""
    options = {
        "--header": f"authorization: {HEADERS['authorization']}",
        "--phases": "examples,fuzzing",
        "--max-examples": str(examples),
        "--exclude-path-regex": STREAMS,
        "--checks": ",".join(check.__name__ for check in CHECKS),
    }
    command = [Path(sys.executable).with_name("st"), "run", f"{stack.gateway}/openapi.json"]
    command += [part for option in options.items() for part in option]
    command += ["--header", f"accept: {accept}", "--generation-deterministic", "--warnings=off", "--no-color"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


EXECUTE = f"POST {PREFIX}/pipelines/{{pipeline}}/execute"
#: What is run along the links; they lead to its end, too.
RUN = {
    "name": "Run along the links",
    "slug": "run-along-the-links",
    "nodes": [{"key": "a", "type": "text", "config": {"content": "x"}}],
}
#: Bodies that are taken.
GOOD = {
    f"POST {PREFIX}/pipelines": {"name": "Linked", "nodes": [{"key": "a", "type": "text", "config": {"content": "x"}}]},
    EXECUTE: {"input": {"name": "Ada"}},
}


def test_every_answer_is_promised_along_the_links(stack: Stack, session: requests.Session) -> None:
    """What one answer gives is used in the next request: pipelines, versions and runs that are really there."""
    followed: Counter[str] = Counter()
    session.post(f"{stack.gateway}{PREFIX}/pipelines/apply", json=RUN, headers=HEADERS).raise_for_status()

    class Machine(schema.as_state_machine()):  # type: ignore[misc]  # made from the document
        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"headers": HEADERS, "base_url": stack.gateway, "session": session}

        def before_call(self, case: Case) -> None:
            """What is made at random is mostly refused, and leads nowhere."""
            if case.operation.label in GOOD:
                case.body, case.media_type = GOOD[case.operation.label], FLAT
                case.headers.pop("idempotency-key", None)
            if case.operation.label == EXECUTE:
                case.path_parameters["pipeline"] = RUN["slug"]

        def step(self, input: Any) -> Any:
            if input.transition is not None and input.is_applied:
                followed[input.case.operation.label] += 1
            return super().step(input)

        def validate_response(self, response: Response, case: Case, **kwargs: Any) -> None:
            case.validate_response(response, checks=CHECKS)

    run_state_machine_as_test(Machine, settings=settings(quick, max_examples=15, stateful_step_count=14))

    assert len(followed) > 10, followed


#: What generators rarely think of: path, query, headers, and a body as it is.
NASTY: dict[str, tuple[str, dict[str, Any]]] = {
    "a slash in a name": ("GET /pipelines/{pipeline}", {"path_parameters": {"pipeline": "a/b"}}),
    "dots for a name": ("GET /pipelines/{pipeline}", {"path_parameters": {"pipeline": ".."}}),
    "a name of control characters": ("GET /pipelines/{pipeline}", {"path_parameters": {"pipeline": "\x01\x7f"}}),
    "a name that is no ASCII": ("DELETE /pipelines/{pipeline}", {"path_parameters": {"pipeline": "\u2603\U0001f600"}}),
    "a very long name": ("GET /pipelines/{pipeline}/nodes", {"path_parameters": {"pipeline": "x" * 5000}}),
    "an id that is none": ("GET /pipeline_runs/{run_id}", {"path_parameters": {"run_id": "'; DROP TABLE runs; --"}}),
    "a number beyond any": (
        "GET /pipelines/{pipeline}/versions/{number}",
        {"path_parameters": {"pipeline": "greeting", "number": 10**30}},
    ),
    "no number for a limit": ("GET /pipelines", {"query": {"limit": "1e309"}}),
    "a time before all times": ("GET /pipeline_runs", {"query": {"created_after": "0000-01-01T00:00:00Z"}}),
    "an ETag of another server": (
        "POST /pipelines/{pipeline}/publish",
        {"path_parameters": {"pipeline": "greeting"}, "headers": {"if-match": '"\\"", W/"7"'}},
    ),
    "a key beyond any length": (
        "POST /pipelines",
        {"headers": {"idempotency-key": "k" * 300}, "body": {"name": "nasty"}, "media_type": FLAT},
    ),
    "a body that is a list": ("POST /pipelines", {"body": [], "media_type": FLAT}),
    "a body that is null": ("POST /pipelines/apply", {"body": None, "media_type": FLAT}),
    "a number for a name": ("POST /pipelines", {"body": {"name": 1e308, "nodes": {}}, "media_type": FLAT}),
    "a surrogate alone": ("POST /pipelines", {"body": {"name": "\ud800"}, "media_type": FLAT}),
    "U+0000 in a config": (
        "POST /pipelines",
        {
            "body": {"name": "x", "nodes": [{"key": "a", "type": "text", "config": {"content": "\x00"}}]},
            "media_type": FLAT,
        },
    ),
    "an input that is deep": (
        "POST /pipelines/{pipeline}/execute",
        {"path_parameters": {"pipeline": "greeting"}, "body": {"input": [[[[[[[]]]]]]]}, "media_type": FLAT},
    ),
    "a document without data": ("POST /pipelines", {"body": {"jsonapi": {}}, "media_type": OURS}),
    "a document of another type": (
        "POST /pipelines",
        {"body": {"data": {"type": "nodes", "attributes": {}}}, "media_type": OURS},
    ),
    "a document with an id of its own": (
        "POST /api_keys",
        {"body": {"data": {"type": "api_keys", "id": "1", "attributes": {"name": "x"}}}, "media_type": OURS},
    ),
    "a document whose relationships lead nowhere": (
        "POST /pipelines",
        {
            "body": {
                "data": {
                    "type": "pipelines",
                    "attributes": {"name": "x"},
                    "relationships": {"nodes": {"data": [{"type": "nodes", "lid": "9"}]}},
                }
            },
            "media_type": OURS,
        },
    ),
}


@pytest.mark.parametrize("accept", [FLAT, OURS])
@pytest.mark.parametrize("what", NASTY)
def test_what_is_nasty_is_refused_as_promised(what: str, accept: str, stack: Stack, session: requests.Session) -> None:
    name, parts = NASTY[what]
    method, path = name.split()
    case = schema[PREFIX + path][method].Case(**parts)
    headers = HEADERS | {"accept": accept}
    response = case.call(base_url=stack.gateway, headers=headers, session=session)
    case.validate_response(response, checks=CHECKS)
    assert 400 <= response.status_code < 500, response.text
