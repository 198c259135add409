"""The client does the same over NATS and over REST, and so does the command line that stands on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import yaml

from shared.client import PipewrightClient
from shared.contracts.api_keys import Scope
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


async def test_a_draft_is_edited_part_by_part(either: PipewrightClient) -> None:
    slug = f"parts-{id(either)}"
    made = await either.create_pipeline(pipeline(slug, [text("a", "one")]), idempotency_key=slug)
    again = await either.create_pipeline(pipeline(slug, [text("a", "one")]), idempotency_key=slug)
    node = await either.create_node(slug, text("b", "{{ nodes.a.text }}"), if_revision=made.revision)
    joined = await either.create_edge(slug, edge("a", "b"), if_revision=node.revision)
    changed = await either.update_node(slug, "b", text("b", "two"), if_revision=joined.revision)

    assert again == made
    assert (node.revision, joined.id, changed.config) == (2, "a.b", {"content": "two"})
    assert await either.get_node(slug, "b") == changed
    assert [found.key for found in (await either.list_nodes(slug)).nodes] == ["a", "b"]
    assert [found.id for found in (await either.list_edges(slug)).edges] == ["a.b"]
    assert (await either.get_edge(slug, "a.b")).target == "b"
    assert (await either.validate_pipeline(slug)).is_valid
    with pytest.raises(ProblemError) as refusal:
        await either.update_pipeline(slug, pipeline(slug, [text("c", "x")]), if_revision=1)
    assert refusal.value.problem.type == "changed_meanwhile"
    for edit in (
        either.delete_edge(slug, "a.b", if_revision=4),
        either.delete_node(slug, "b", if_revision=5),
        either.delete_pipeline(slug, if_revision=6),
    ):
        assert await edit is None


async def test_runs_are_settled_by_hand(either: PipewrightClient) -> None:
    done = await either.run("greeting", {"name": "Ada"}, hold=True)
    lost = await either.run("greeting", {"name": "Ada"}, hold=True)

    completed = await either.complete(done.run_id, "done elsewhere")
    failed = await either.fail(lost.run_id, "the input was wrong")

    assert (completed.status, failed.status) == (RunStatus.COMPLETED, RunStatus.FAILED)
    assert failed.error is not None
    assert failed.error.message == "the input was wrong"
    assert [entry.action for entry in (await either.audit(lost.run_id)).audit] == ["fail"]


async def test_webhooks_are_kept(either: PipewrightClient) -> None:
    ended = await either.run("greeting", {"name": "Ada"})
    await either.wait(ended.run_id, 20)
    made = await either.create_webhook("https://my-service.invalid/ends", run_id=ended.run_id)
    [delivery] = (await either.list_deliveries(made.id)).webhook_deliveries

    assert made.secret.startswith("whsec_")
    assert (await either.get_webhook(made.id)).url == made.url
    assert [found.id for found in (await either.list_webhooks(run_id=ended.run_id)).webhooks] == [made.id]
    assert (await either.get_delivery(delivery.id)).run_id == ended.run_id
    assert (await either.resend_delivery(delivery.id)).id == delivery.id
    assert await either.delete_webhook(made.id) is None


async def test_both_ways_tell_the_same(stack: Stack, nats_url: str) -> None:
    async with (
        PipewrightClient.connect(nats_url) as inside,
        PipewrightClient.connect(stack.gateway, API_KEY) as outside,
    ):
        document = pipeline("told-alike", [text("a", "one"), text("b", "{{ nodes.a.text }}")], [edge("a", "b")])
        applied = await inside.apply(document)
        await inside.apply(pipeline("told-alike", [text("a", "two")]))
        ended = await inside.wait((await inside.run("told-alike")).run_id, 20)

        for ask in (
            lambda client: client.get_pipeline("told-alike"),
            lambda client: client.list_pipelines(status=PipelineStatus.ACTIVE, limit=2),
            lambda client: client.export("told-alike"),
            lambda client: client.validate(document | {"nodes": [{"key": "A"}]}),
            lambda client: client.validate_pipeline("told-alike"),
            lambda client: client.list_nodes("told-alike"),
            lambda client: client.list_edges("told-alike"),
            lambda client: client.list_versions("told-alike", limit=1),
            lambda client: client.get_version("told-alike", 1),
            lambda client: client.compare_versions("told-alike", 1),
            lambda client: client.get_run(ended.id, include_node_results=True),
            lambda client: client.get_run(ended.id),
            lambda client: client.list_runs(pipeline_id=applied.pipeline.id),
            lambda client: client.list_node_results(ended.id),
            lambda client: client.get_node_result(ended.id, "a"),
            lambda client: client.audit(ended.id),
        ):
            assert await ask(outside) == await ask(inside)


@pytest.mark.parametrize("name", ["a/../b?x", "..", "%00x", "\u2603"])
async def test_a_name_is_never_a_path(either: PipewrightClient, name: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        await either.delete_pipeline(name)
    assert refusal.value.problem.status == 404


async def test_keys_are_made_by_the_gateway_alone(stack: Stack, nats_url: str) -> None:
    async with PipewrightClient.connect(stack.gateway, API_KEY) as outside:
        made = await outside.create_api_key("by the client", [Scope.RUNS_READ])
        assert (await outside.get_api_key(made.id)).name == "by the client"
        assert made.id in {key.id for key in (await outside.list_api_keys(limit=200)).keys}
        async with PipewrightClient.connect(stack.gateway, made.key) as reader:
            await reader.list_runs(limit=1)
        await outside.revoke_api_key(made.id)
        assert (await outside.get_api_key(made.id)).revoked_at is not None
    async with PipewrightClient.connect(nats_url) as inside:
        with pytest.raises(TypeError, match="connect to its URL"):
            await inside.list_api_keys()


async def test_what_is_exported_is_applied_without_a_change(either: PipewrightClient, stack: Stack) -> None:
    await either.apply(
        pipeline("identity", [text("a", "one"), text("b", "{{ nodes.a.text }}")], [edge("a", "b")])
        | {"description": "Both ways.", "input_schema": {"type": "object"}}
    )
    exported = await either.export("identity")
    written_out = await asyncio.to_thread(stack.command, "pipelines", "export", "identity")

    assert (await either.apply(exported.model_dump(mode="json"))).outcome == "unchanged"
    assert (await either.apply(yaml.safe_load(written_out.stdout))).outcome == "unchanged"


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
