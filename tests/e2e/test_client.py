"""The client does the same over NATS and over REST, and so does the command line that stands on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.client import PipewrightClient
from shared.contracts.runs import Run
from shared.contracts.states import PipelineStatus, RunStatus
from shared.errors import ProblemError, UnavailableError
from tests.e2e.graphs import edge, fetch, pipeline, text
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.stack import API_KEY, Stack


@pytest.fixture(params=["nats", "rest"])
async def either(request: pytest.FixtureRequest, stack: Stack, nats_url: str) -> AsyncIterator[PipewrightClient]:
    url, key = (nats_url, None) if request.param == "nats" else (stack.gateway, API_KEY)
    async with PipewrightClient.connect(url, key) as client:
        yield client


async def test_pipelines_are_kept(either: PipewrightClient) -> None:
    document = pipeline("kept", [text("a", "one"), text("b", "{{ nodes.a.text }}")], [edge("a", "b")])

    await either.apply(document)
    again = await either.apply(document)
    await either.apply(pipeline("kept", [text("a", "two")]))
    difference = await either.compare_versions("kept", 1, 2)
    back = await either.publish_version("kept", 1)
    page = await either.list_versions("kept")
    exported = await either.export("kept")
    findings = await either.validate({"name": "x", "nodes": [{"key": "a", "type": "txt"}]})

    assert again.outcome == "unchanged"
    assert difference.nodes_removed == ["b"]
    assert back.active_version == 1
    assert [(version.number, version.is_active) for version in page.versions] == [(2, False), (1, True)]
    assert [node.config for node in exported.nodes] == [{"content": "two"}]
    assert [error.pointer for error in findings.errors] == ["/nodes/0/type"]
    assert "kept" in {found.slug for found in (await either.list_pipelines(limit=200)).pipelines}
    assert (await either.archive_pipeline("kept")).status is PipelineStatus.ARCHIVED
    await either.delete_pipeline("kept")
    with pytest.raises(ProblemError, match="There is no pipeline 'kept'") as refusal:
        await either.get_pipeline("kept")
    assert refusal.value.problem.status == 404


async def test_runs_are_started_followed_listed_and_run_again(either: PipewrightClient) -> None:
    started = await either.run("greeting", {"name": "Ada"})
    steps = [step async for step in either.events(started.run_id)]
    run = await either.get_run(started.run_id, include_node_results=True)

    assert steps[-1].status is RunStatus.COMPLETED
    assert [step.seq for step in steps] == sorted({step.seq for step in steps})
    assert run.output == {"greet": {"text": "Hello, Ada!"}}
    assert run.node_results is not None
    page = await either.list_runs(status=RunStatus.COMPLETED, created_after=run.created_at, limit=200)
    assert run.id in {found.id for found in page.runs}
    again = await either.wait((await either.retry(run.id, "start")).id, 20)
    assert (again.retry_of, again.output) == (run.id, run.output)


async def test_run_is_held_released_and_cancelled(either: PipewrightClient) -> None:
    held = await either.run("greeting", {"name": "Ada"}, hold=True)
    other = await either.run("greeting", {"name": "Grace"}, hold=True)

    assert held.status is RunStatus.PENDING
    await either.release(held.run_id)
    cancelled = await either.cancel(other.run_id, "not needed")

    assert (await either.wait(held.run_id, 20)).status is RunStatus.COMPLETED
    assert cancelled.status is RunStatus.CANCELLED
    with pytest.raises(ProblemError, match="is completed") as refusal:
        await either.cancel(held.run_id)
    assert refusal.value.problem.status == 409


async def test_events_come_as_they_happen(either: PipewrightClient, ledger: Ledger) -> None:
    name = f"client-{id(either)}"
    await either.apply(pipeline("followed", [fetch("gate", f"{ledger.url}/gate/open/{name}"), text("z", "z")]))
    started = await either.run("followed")
    await eventually(lambda: ledger.requests[name] == 1, "the request at the gate")
    steps = either.events(started.run_id)
    first = await anext(steps)
    assert isinstance(first, Run)
    assert first.status is RunStatus.RUNNING

    ledger.open_gate()

    rest = [step async for step in steps]
    assert rest[-1].status is RunStatus.COMPLETED


async def test_nobody_there_is_told_in_words() -> None:
    for url in ("nats://127.0.0.1:1", "http://127.0.0.1:1"):
        with pytest.raises(UnavailableError, match="does not answer"):
            async with PipewrightClient.connect(url) as client:
                await client.node_types()


async def test_command_line_works_from_elsewhere_by_rest(stack: Stack, tmp_path: object) -> None:
    far = Stack(stack.data_dir / "nothing-here", {"PIPEWRIGHT_URL": stack.gateway})

    ran = await asyncio.to_thread(far.command, "run", "greeting", "--input", "name=Ada", "--follow")
    listed = await asyncio.to_thread(far.command, "types")
    exported = await asyncio.to_thread(far.command, "pipelines", "export", "greeting")

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith("greet\nHello, Ada!\n")
    assert "http_request" in listed.stdout
    assert exported.stdout.startswith("name: Greeting with variables\nslug: greeting\n")


def test_wrong_key_is_told(stack: Stack) -> None:
    far = Stack(stack.data_dir / "nothing-here", {"PIPEWRIGHT_URL": stack.gateway, "PIPEWRIGHT_API_KEY": "wrong-key"})

    done = far.command("types")

    assert done.returncode == 4
    assert "API key is not known" in done.stderr
