"""The definition service: edits, versions, the catalogue, and what the database refuses by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import psycopg
import pytest

from shared.bus.rpc import Rpc
from shared.bus.transfers import Transfers
from shared.contracts import subjects
from shared.contracts.pipelines import CompiledVersion, NodeTypeView, VersionGet, VersionsResolve, VersionsResolved
from shared.contracts.states import PipelineStatus
from shared.errors import ProblemError
from tests.eventually import eventually
from tests.integration.engine import Engine
from tests.integration.hand_worker import SCHEMA, HandWorker


def document(slug: str, say: str = "a", **more: Any) -> dict[str, Any]:
    node = {"key": "a", "type": "step", "config": {"say": say}, "position": {"x": 1.5, "y": 2}}
    return {"name": slug, "slug": slug, "nodes": [node], **more}


def rpc_of(engine: Engine) -> Rpc:
    return Rpc(engine.client.nats, Transfers(engine.jetstream))


async def test_draft_edit_is_seen_by_nobody_until_it_is_published(engine: Engine) -> None:
    await engine.client.apply(document("edited", "one"))
    applied = await engine.client.apply(document("edited", "two"), publish=False)

    assert (applied.outcome, applied.pipeline.active_version) == ("updated", 1)
    await engine.start("edited")
    assert (await engine.worker.take_one())["config"] == {"say": "one"}
    await engine.client.publish_pipeline("edited")
    await engine.start("edited")
    assert (await engine.worker.take_one())["config"] == {"say": "two"}


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        (subjects.PIPELINES_GET, {"pipeline": "a\x00b"}),
        (subjects.PIPELINES_LIST, {"after": "\x00"}),
        (subjects.NODES_GET, {"pipeline": "exact", "key": "\x00"}),
        (subjects.PIPELINES_CREATE, {"document": document("other", description="\x00")}),
        (subjects.PIPELINES_CREATE, {"document": document("other", name="\x00")}),
        (subjects.PIPELINES_CREATE, {"document": document("other"), "idempotency_key": "\x00"}),
        (subjects.PIPELINES_CREATE, {"document": document("other", input_schema={"maximum": 2**64 - 1, "a": "\x00"})}),
        (subjects.NODES_CREATE, {"pipeline": "exact", "node": {"key": "b", "type": "step", "config": {"say": "\x00"}}}),
    ],
)
async def test_what_cannot_be_stored_is_told_in_words(engine: Engine, subject: str, body: dict[str, Any]) -> None:
    await engine.client.apply(document("exact"))

    answer = orjson.loads((await engine.client.nats.request(subject, orjson.dumps(body), timeout=10)).data)

    assert answer["error"]["status"] == 422, answer


@pytest.mark.parametrize("deep", ['{"a":' * 110 + "1" + "}" * 110, "9" * 40])
async def test_document_that_could_not_be_passed_on_is_refused(engine: Engine, deep: str) -> None:
    whole = orjson.dumps({"document": document("deep", say="DEEP")}).replace(b'"DEEP"', deep.encode())
    node = b'{"pipeline": "there", "node": {"key": "b", "type": "step", "config": {"say": ' + deep.encode() + b"}}}"
    await engine.client.apply(document("there"))

    for subject, body in ((subjects.PIPELINES_CREATE, whole), (subjects.NODES_CREATE, node)):
        answer = orjson.loads((await engine.client.nats.request(subject, body, timeout=10)).data)
        assert (answer["error"]["status"], answer["error"]["type"]) == (422, "invalid_pipeline"), answer
        assert "the document holds" in answer["error"]["detail"]


@pytest.mark.parametrize("number", ["inf", "-inf", "nan"])
async def test_position_is_a_place_that_can_be_drawn(engine: Engine, number: str) -> None:
    placed = document("placed")
    placed["nodes"][0]["position"] = {"x": number, "y": 1}

    with pytest.raises(ProblemError, match="/nodes/0/position/x"):
        await engine.client.apply(placed)


async def test_whole_document_is_read_back_as_it_was_written(engine: Engine) -> None:
    whole = document("whole", description="words", input_schema={"type": "object"})
    whole["nodes"][0] |= {
        "name": "First",
        "retry": {"max_attempts": 2, "initial_delay_s": 0.5, "factor": 2.0, "max_delay_s": 30.0},
        "timeout_s": 7.0,
        "on_error": "continue",
    }
    whole["nodes"].append({"key": "b", "type": "step", "config": {"say": "b"}})
    whole["edges"] = [{"source": "a", "target": "b"}]
    await engine.client.apply(whole, publish=False)

    found = (await engine.client.get_pipeline("whole")).model_dump(mode="json", exclude_none=True)

    assert found["status"] == "draft"
    assert found["nodes"][0] == whole["nodes"][0]
    assert found["edges"] == whole["edges"]
    assert (found["description"], found["input_schema"]) == ("words", {"type": "object"})


async def test_publishing_the_same_again_makes_no_version(engine: Engine) -> None:
    await engine.client.apply(document("same"))

    again = await engine.client.publish_pipeline("same")

    assert again.active_version == 1


async def test_version_never_changes(engine: Engine) -> None:
    await engine.client.apply(document("versions", "one"))
    rpc = rpc_of(engine)
    resolved = await rpc.call(subjects.VERSIONS_RESOLVE, VersionsResolve(pipelines=["versions"]), VersionsResolved)
    version_id = resolved.versions[0].version_id
    assert version_id is not None
    before = await rpc.call(subjects.VERSIONS_GET, VersionGet(version_id=version_id), CompiledVersion)

    await engine.client.apply(document("versions", "two"))
    await engine.client.delete_pipeline("versions")

    assert await rpc.call(subjects.VERSIONS_GET, VersionGet(version_id=version_id), CompiledVersion) == before
    with pytest.raises(psycopg.errors.RestrictViolation, match="never changes"):
        await engine.query("UPDATE definition.versions SET number = 9 WHERE id = %s", version_id)


async def test_a_name_that_postgres_cannot_hold_spoils_no_other_answer(engine: Engine) -> None:
    await engine.client.apply(document("spoiled-by-none"))

    wanted = VersionsResolve(pipelines=["no\0name", "spoiled-by-none"])
    resolved = await rpc_of(engine).call(subjects.VERSIONS_RESOLVE, wanted, VersionsResolved)

    nameless, found = resolved.versions
    assert nameless.error is not None
    assert nameless.error.type == "pipeline_not_found"
    assert found.version_id is not None


async def test_edits_at_once_leave_one_whole_document(engine: Engine) -> None:
    await engine.client.apply(document("raced"))

    await asyncio.gather(*(engine.client.apply(document("raced", f"say {number}")) for number in range(10)))

    found = await engine.client.get_pipeline("raced")
    assert found.node_count == 1
    [row] = await engine.query("SELECT count(*) AS versions FROM definition.versions")
    assert row["versions"] == found.active_version


async def test_creates_at_once_under_one_slug_make_one_pipeline(engine: Engine) -> None:
    applied = await asyncio.gather(
        *(engine.client.apply(document("one-slug")) for _ in range(10)), return_exceptions=True
    )

    made = [one for one in applied if not isinstance(one, BaseException)]
    assert len({one.pipeline.id for one in made}) == 1
    assert all(isinstance(one, ProblemError) and one.problem.status == 409 for one in applied if one not in made)


async def test_archived_pipeline_starts_no_runs_and_keeps_its_slug(engine: Engine) -> None:
    await engine.client.apply(document("archived"))

    archived = await engine.client.archive_pipeline("archived")

    assert archived.status is PipelineStatus.ARCHIVED
    with pytest.raises(ProblemError, match="is archived"):
        await engine.start("archived")
    with pytest.raises(ProblemError, match="is archived"):
        await engine.client.publish_pipeline("archived")


IMPOSSIBLE = [
    ("a self-loop", "INSERT INTO definition.edges SELECT id, 0, 'a', 'a' FROM definition.pipelines"),
    ("an edge to nowhere", "INSERT INTO definition.edges SELECT id, 0, 'a', 'z' FROM definition.pipelines"),
    ("a reserved key", "UPDATE definition.nodes SET node_key = 'input'"),
    ("a slug with capitals", "UPDATE definition.pipelines SET slug = 'Bad'"),
    ("an active draft", "UPDATE definition.pipelines SET active_version = NULL"),
    ("an endless timeout", "UPDATE definition.nodes SET timeout_s = 1e9"),
]


@pytest.mark.parametrize("statement", [case[1] for case in IMPOSSIBLE], ids=[case[0] for case in IMPOSSIBLE])
async def test_database_refuses_by_itself(engine: Engine, statement: str) -> None:
    await engine.client.apply(document("checked"))

    with pytest.raises(psycopg.IntegrityError):
        await engine.query(statement)


FINAL = [
    "UPDATE runs.node_results SET status = 'running', attempt = 1, dispatch = 1",
    "UPDATE runs.node_results SET status = 'failed', output = NULL",
    "UPDATE runs.node_results SET worker = 'another'",
    "UPDATE runs.pipeline_runs SET status = 'running', finished_at = NULL",
    "INSERT INTO runs.attempts SELECT run_id, node_key, attempt, outcome, worker, error, metadata, started_at, "
    "finished_at FROM runs.attempts",
]


@pytest.mark.parametrize("statement", FINAL)
async def test_database_keeps_what_is_final(engine: Engine, statement: str) -> None:
    await engine.apply("final", "a", a={"retry": {"max_attempts": 2, "initial_delay_s": 0.001}})
    run_id = await engine.start("final")
    await engine.worker.fail(await engine.worker.take_one(), retryable=True)
    await engine.worker.complete(await engine.worker.take_one())
    await engine.ends(run_id)

    with pytest.raises(psycopg.IntegrityError):
        await engine.query(statement)


async def test_pipeline_is_found_by_its_id_however_it_is_written(engine: Engine) -> None:
    await engine.apply("by-id", "a")
    found = await engine.client.get_pipeline("by-id")

    for name in (str(found.id), str(found.id).upper()):
        assert (await engine.client.get_pipeline(name)).slug == "by-id"
        run_id = await engine.start(name)
        await engine.worker.complete(await engine.worker.take_one())
        assert (await engine.ends(run_id)).pipeline_id == found.id


async def announce(engine: Engine, **fields: Any) -> None:
    await HandWorker(engine.client.nats, "announced").announce(**fields)


async def schema_version(engine: Engine) -> int | None:
    kinds = {kind.node_type: kind for kind in await engine.client.node_types()}
    return kinds["announced"].schema_version if "announced" in kinds else None


async def test_newer_schema_of_a_type_is_taken_over(engine: Engine) -> None:
    await announce(engine)
    await eventually(lambda: schema_version(engine), "the type")

    newer = SCHEMA | {"properties": {"say": {"type": "string"}, "loud": {"type": "boolean"}}}
    await announce(engine, config_schema=newer, schema_version=2)

    async def is_newer() -> bool:
        return await schema_version(engine) == 2

    await eventually(is_newer, "the newer schema")


async def test_schema_changed_in_silence_is_refused(engine: Engine) -> None:
    await announce(engine, schema_version=2)
    await eventually(lambda: schema_version(engine), "the type")

    await announce(engine, schema_version=2, config_schema={"type": "object"})
    await announce(engine, schema_version=1)
    # Told after those, so heard after those.
    await HandWorker(engine.client.nats, "told_last").announce()

    async def is_heard() -> bool:
        return "told_last" in {kind.node_type for kind in await engine.client.node_types()}

    await eventually(is_heard, "the last announcement")
    kinds = {kind.node_type: kind for kind in await engine.client.node_types()}
    assert kinds["announced"].schema_version == 2
    assert kinds["announced"].config_schema == SCHEMA


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"schema_version": 2}, {"schema_version": 7}),
        ({}, {"schema_version": 3, "config_schema": {"type": "object", "properties": {"content": {}}}}),
    ],
)
async def test_names_that_come_with_pipewright_are_reserved(
    engine: Engine, first: dict[str, Any], second: dict[str, Any]
) -> None:
    foreign = HandWorker(engine.client.nats, "text")
    await foreign.announce(**first)
    await foreign.announce(**second)
    text = {"type": "object", "properties": {"content": {"type": "string"}}, "additionalProperties": False}
    worker = HandWorker(engine.client.nats, "text")
    worker.name = "hand-2"

    await worker.announce(config_schema=text)

    async def known() -> list[NodeTypeView]:
        return [kind for kind in await engine.client.node_types() if kind.node_type == "text"]

    [found] = await eventually(known, "the type")
    assert (found.schema_version, found.config_schema, found.workers) == (1, text, ["hand-2"])


async def test_unreadable_announcement_is_parked(engine: Engine) -> None:
    bucket = await engine.jetstream.key_value(subjects.NODE_TYPES_BUCKET)

    await bucket.put("broken.worker", b"no JSON")
    await HandWorker(engine.client.nats, "stolen").announce(worker="another-worker")
    await HandWorker(engine.client.nats, "huge").announce(config_schema={"properties": {"a": {"maximum": 2**64}}})

    async def all_three() -> bool:
        return await engine.parked("announcement") == 3

    await eventually(all_three, "the dead letters")


async def test_type_whose_worker_left_is_offline_and_known(engine: Engine) -> None:
    bucket = await engine.jetstream.key_value(subjects.NODE_TYPES_BUCKET)

    await bucket.delete(f"step.{engine.worker.name}")

    async def is_offline() -> bool:
        [kind] = await engine.client.node_types()
        return not kind.is_online

    await eventually(is_offline, "the type to be offline")
    applied = await engine.client.apply(document("still-valid"))
    assert applied.outcome == "created"


async def test_large_document_is_carried_both_ways(engine: Engine) -> None:
    nodes = [{"key": f"n{number}", "type": "step", "config": {"say": "x" * 300}} for number in range(4000)]

    await engine.client.apply({"name": "large", "slug": "large", "nodes": nodes})

    found = await engine.client.get_pipeline("large")
    assert found.node_count == 4000
    assert found.nodes is not None
    assert found.nodes[-1].config == {"say": "x" * 300}


async def test_reading_does_not_wait_for_an_edit(engine: Engine) -> None:
    await engine.client.apply(document("edited-long"))
    asked = {"pipeline": "edited-long"}
    reads = {
        subjects.PIPELINES_GET: asked,
        subjects.PIPELINES_VALIDATE: asked,
        subjects.PIPELINES_EXPORT: asked,
        subjects.NODES_LIST: asked,
        subjects.NODES_GET: asked | {"key": "a"},
        subjects.EDGES_LIST: asked,
        subjects.VERSIONS_LIST: asked,
        subjects.VERSIONS_READ: asked | {"number": 1},
        subjects.VERSIONS_COMPARE: asked | {"number": 1},
    }
    async with await psycopg.AsyncConnection.connect(engine.database_url) as edit:
        await edit.execute("SELECT 1 FROM definition.pipelines FOR UPDATE")

        for subject, body in reads.items():
            answer = orjson.loads((await engine.client.nats.request(subject, orjson.dumps(body), timeout=10)).data)
            assert "error" not in answer, (subject, answer)
