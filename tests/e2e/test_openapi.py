"""The whole OpenAPI document against the running gateway: no answer that it does not promise, and no fault."""

from __future__ import annotations

from typing import Any

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
from shared.bus.connection import Bus
from tests.stack import API_KEY, Stack

#: No fault, and no answer, media type, body or header that is not in the document.
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
HEADERS = {"authorization": f"Bearer {API_KEY}"}
DOCUMENT = make_app(GatewaySettings(), Bus("nats://127.0.0.1:1", "gateway")).openapi()

# Streams of events go on until the run has ended, or for ever; they have tests of their own.
schema = schemathesis.openapi.from_dict(DOCUMENT).exclude(path_regex="/events$")


@schema.parametrize()
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_promised(case: Case, stack: Stack) -> None:
    case.call_and_validate(base_url=stack.gateway, headers=HEADERS, checks=CHECKS)


def test_every_answer_is_promised_along_the_links(stack: Stack) -> None:
    """What one answer gives is used in the next request: pipelines, versions and runs that are really there."""

    class Machine(schema.as_state_machine()):  # type: ignore[misc]  # made from the document
        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"headers": HEADERS, "base_url": stack.gateway}

        def validate_response(self, response: Response, case: Case, **kwargs: Any) -> None:
            case.validate_response(response, checks=CHECKS)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=8,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
