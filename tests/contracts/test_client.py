"""The client says over NATS and over REST all that the services answer."""

from __future__ import annotations

import inspect
import re
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.cli.channels import CHANNELS
from services.gateway.app import make_app
from services.gateway.settings import GatewaySettings
from shared import client_rest
from shared.client_pipelines import PipelineCalls
from shared.client_rest import RestTransport
from shared.client_routes import rest_request, routes_of
from shared.client_runs import RunCalls
from shared.client_webhooks import WebhookCalls
from shared.contracts import subjects
from shared.contracts.rest import PREFIX
from shared.errors import ProblemError, UnavailableError

#: All that a service inside may ask for.
ASKED = [one.subject for one in CHANNELS if ".rpc." in one.subject and "client" in one.senders.split()]
PATHS: dict[str, Any] = make_app(GatewaySettings()).openapi()["paths"]
RUN = UUID(int=7)


def spelled(subject: str) -> str:
    return next(name for name, value in vars(subjects).items() if value == subject)


def used() -> set[str]:
    """Names of the subjects that a method of the client names."""
    sources = [inspect.getsource(kind) for kind in (PipelineCalls, RunCalls, WebhookCalls)]
    return set(re.findall(r"subjects\.([A-Z_]+)", "".join(sources)))


@pytest.mark.parametrize("subject", [subject for subject in ASKED if subject != subjects.RUNS_START])
def test_every_subject_has_a_method(subject: str):
    assert spelled(subject) in used()


@pytest.mark.parametrize("subject", ASKED)
def test_every_subject_has_a_route_of_the_gateway(subject: str):
    shapes = {(method.upper(), re.sub(r"{\w+}", "{}", path)) for path, methods in PATHS.items() for method in methods}
    routes = routes_of(subject)
    assert routes
    for route in routes:
        assert (route.method, PREFIX + "/" + re.sub(r"{\w+}", "{}", route.path)) in shapes


@pytest.mark.parametrize(
    ("name", "path"),
    [("a/../b?x#y", "a%2F..%2Fb%3Fx%23y"), ("..", "%2E%2E"), (".", "%2E"), ("%2F", "%252F"), ("\u2603", "%E2%98%83")],
)
def test_a_name_stays_one_part_of_the_path(name: str, path: str):
    request = rest_request(subjects.PIPELINES_DELETE, {"pipeline": name})
    assert request.path == f"{PREFIX}/pipelines/{path}"
    assert httpx.URL("http://gateway").join(request.path).raw_path.decode() == request.path


def test_a_revision_and_an_idempotency_key_are_headers():
    edit = rest_request(subjects.NODES_DELETE, {"pipeline": "a", "key": "b", "if_revision": 3})
    assert (edit.headers, edit.query, edit.body) == ({"if-match": '"3"'}, {}, None)
    made = rest_request(subjects.PIPELINES_CREATE, {"document": {"name": "x"}, "idempotency_key": "k"})
    assert (made.headers, made.body) == ({"idempotency-key": "k"}, {"name": "x"})


def test_what_is_settled_goes_where_it_ends():
    request = rest_request(subjects.RUNS_SETTLE, {"run_id": str(RUN), "status": "failed", "reason": "x"})
    assert (request.path, request.body) == (f"{PREFIX}/pipeline_runs/{RUN}/fail", {"reason": "x"})


def test_a_retry_names_both_runs():
    request = rest_request(subjects.RUNS_RETRY, {"run_id": "1", "new_run_id": "2", "start_from": "failed"})
    assert request.path == f"{PREFIX}/pipeline_runs/1/retry"
    assert request.body == {"run_id": "2", "start_from": "failed"}


ENDED = (
    'event: end\nid: 2\ndata: {"id": "00000000-0000-0000-0000-000000000007", "pipeline_id": null, "version": 1, '
    '"status": "completed", "input": {}, "progress_percent": 100, "created_at": "2024-05-06T12:00:00Z", "seq": 2}\n\n'
)
BEGUN = ENDED.replace("event: end\nid: 2", "event: snapshot\nid: 1").replace("completed", "running")


def gateway(answers: list[Any]) -> RestTransport:
    """One that answers these in turn; an error is a connection that was not to be had."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    asked: list[str | None] = []
    made = RestTransport(httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://gateway"))
    made.asked = asked  # type: ignore[attr-defined]
    return made


async def test_a_stream_that_was_cut_waits_for_a_gateway_that_is_away(monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(client_rest.asyncio, "sleep", pause)
    away = httpx.Response(503, json={"type": "x", "title": "x", "status": 503, "detail": "x"})
    found = gateway(
        [httpx.Response(200, text=BEGUN), httpx.ConnectError("refused"), away, httpx.Response(200, text=ENDED)]
    )

    steps = [step.status async for step in found.events(RUN)]

    assert steps == ["running", "completed"]
    assert found.asked == [None, "1", "1", "1"]  # type: ignore[attr-defined]
    assert pauses == [0.25, 0.5, 1.0]


async def test_a_gateway_that_was_never_there_is_told_in_words():
    with pytest.raises(UnavailableError, match="does not answer"):
        await anext(gateway([httpx.ConnectError("refused")]).events(RUN))


async def test_a_run_that_is_not_there_is_no_trouble_to_wait_out():
    missing = httpx.Response(404, json={"type": "run_not_found", "title": "x", "status": 404, "detail": "x"})
    with pytest.raises(ProblemError):
        await anext(gateway([missing]).events(RUN))
