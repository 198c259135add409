"""What people do on the command line, and what programs read from it."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.e2e.graphs import Document, edge, fetch, pipeline, text
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.ports import free_port
from tests.stack import Stack

Done = subprocess.CompletedProcess[str]


def write(folder: Path, document: Document) -> str:
    path = folder / f"{document['slug']}.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def read_json(done: Done) -> Any:
    assert not done.stderr, done.stderr
    return orjson.loads(done.stdout)


def test_follow_shows_each_node_and_then_the_output(stack: Stack) -> None:
    done = stack.command("run", "review", "--input", "text=What a day", "--follow")

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("run ")
    shown = [line.split()[:2] for line in lines if line.startswith("  ")]
    assert sorted(shown) == [
        ["is_long", "completed"],
        ["judge", "skipped"],
        ["report", "completed"],
        ["summarise", "skipped"],
        ["thank", "completed"],
    ]
    assert lines[-2:] == ["report", "Thank you for 'What a day'."]


def test_follow_for_programs_is_a_line_for_each_event_and_the_run_last(stack: Stack) -> None:
    done = stack.command("run", "review", "--input", "text=What a day", "--follow", "--json")

    assert done.returncode == 0, done.stderr
    *events, ended = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert events
    assert {event.get("run_id", event.get("id")) for event in events} == {ended["id"]}
    assert ended["status"] == "completed"
    assert ended["output"] == {"report": {"text": "Thank you for 'What a day'."}}
    assert len(ended["node_results"]) == 5


def test_lists_are_whole_however_long(stack: Stack, tmp_path: Path) -> None:
    paths = [write(tmp_path, pipeline(f"long-{number:03}", [text("say", "one")])) for number in range(201)]
    stack.command("apply", "--no-publish", *paths)
    for number in range(3):
        stack.command("apply", write(tmp_path, pipeline("long-000", [text("say", str(number))])))

    slugs = [found["slug"] for found in read_json(stack.command("pipelines", "list", "--json"))["pipelines"]]
    versions = read_json(stack.command("pipelines", "versions", "long-000", "--json"))["versions"]

    assert len([slug for slug in slugs if slug.startswith("long-")]) == 201
    assert [version["number"] for version in versions] == [3, 2, 1]


def test_input_is_json_where_it_parses_as_json(stack: Stack, tmp_path: Path) -> None:
    nodes = [{"key": "sum", "type": "transform", "config": {"expression": "input.numbers | sum"}}]
    stack.command("apply", write(tmp_path, pipeline("sums", nodes)))

    found = read_json(stack.command("run", "sums", "--input", "numbers=[1, 2, 3]", "--json"))

    assert found["output"] == {"sum": {"value": 6}}


def test_apply_is_idempotent_by_slug(stack: Stack, tmp_path: Path) -> None:
    path = write(tmp_path, pipeline("applied", [text("say", "one")]))
    first = stack.command("apply", path)
    again = stack.command("apply", path)
    write(tmp_path, pipeline("applied", [text("say", "two")]))
    changed = read_json(stack.command("apply", path, "--json"))

    assert (first.stdout, again.stdout) == ("applied: created, version 1\n", "applied: unchanged, version 1\n")
    assert (changed[0]["outcome"], changed[0]["pipeline"]["active_version"]) == ("updated", 2)


def test_exit_code_tells_the_outcome(stack: Stack, tmp_path: Path) -> None:
    failing = pipeline("always-fails", [text("say", "{{ input.missing }}")])
    stack.command("apply", write(tmp_path, failing))

    failed = stack.command("run", "always-fails")
    refused = stack.command("run", "nowhere")
    mistyped = stack.command("run", "greeting", "--input", "no-value")

    assert (failed.returncode, refused.returncode, mistyped.returncode) == (1, 4, 2)
    assert "node 'say'" in failed.stdout
    assert "missing" in failed.stdout
    assert refused.stderr.startswith("error: ")
    assert "nowhere" in refused.stderr


async def test_cancelled_run_ends_with_its_own_exit_code(stack: Stack, tmp_path: Path, ledger: Ledger) -> None:
    slow = pipeline("slow-one", [fetch("gate", f"{ledger.url}/gate/open/by-command")])
    stack.command("apply", write(tmp_path, slow))
    waiting = asyncio.create_task(asyncio.to_thread(stack.command, "run", "slow-one"))

    async def its_runs() -> Any:
        listed = await asyncio.to_thread(stack.command, "runs", "list", "--status", "running", "--json")
        return [run["id"] for run in read_json(listed)["runs"] if run["pipeline_slug"] == "slow-one"]

    [run_id] = await eventually(its_runs, "the run")
    cancelled = read_json(await asyncio.to_thread(stack.command, "runs", "cancel", run_id, "--json"))
    ended = await waiting
    shown = stack.command("runs", "show", run_id)

    ledger.open_gate()
    assert cancelled["status"] == "cancelled"
    assert ended.returncode == 3
    assert ended.stdout.splitlines()[1].startswith("cancelled")
    assert "cancelled" in shown.stdout


def test_runs_are_listed_and_shown(stack: Stack) -> None:
    run_id = read_json(stack.command("run", "greeting", "--input", "name=Ada", "--json"))["id"]

    listed = read_json(stack.command("runs", "list", "--limit", "1", "--json"))
    table = stack.command("runs", "list", "--limit", "1")
    shown = read_json(stack.command("runs", "show", run_id, "--json"))
    before = stack.command("runs", "list", "--after", "00000000-0000-7000-8000-000000000000")

    assert listed["runs"][0]["id"] == run_id
    assert run_id in table.stdout
    assert before.stdout == "no such runs\n"
    assert [node["node_key"] for node in shown["node_results"]] == ["greet"]


def test_types_tell_who_is_online(stack: Stack) -> None:
    found = {kind["node_type"]: kind for kind in read_json(stack.command("types", "--json"))}

    assert {"text", "http_request", "llm", "condition", "transform"} <= found.keys()
    assert all(found[name]["is_online"] for name in ("text", "llm"))
    assert found["http_request"]["slots"] == 4
    assert found["text"]["config_schema"]["properties"]["content"]["type"] == "string"


def test_doctor_finds_nothing_wrong(stack: Stack) -> None:
    done = stack.command("doctor")

    assert done.returncode == 0, done.stdout
    assert "wrong" not in done.stdout


def test_topology_and_migrations_are_safe_to_run_twice(stack: Stack) -> None:
    assert stack.command("topology").stdout == "nothing to do: everything is as it should be\n"
    assert stack.command("migrate").stdout == "nothing to do: all migrations are applied\n"


def test_status_has_the_promised_shape(stack: Stack) -> None:
    found = stack.status()

    assert set(found) == {"gateway", "nats", "postgres", "services"}
    names = {service["name"] for service in found["services"]}
    assert {"gateway-1", "definition-1", "coordinator-1", "worker-llm-1", "worker-http_request-1"} <= names
    assert all(service["state"] == "running" and service["restarts"] == 0 for service in found["services"])
    assert "@" in found["nats"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("nodes: [", "neither YAML nor JSON"),
        ("- just\n- a list", "must be an object with: name"),
        ("name: x\nnods: []", "nodes"),
    ],
)
def test_bad_file_is_refused_in_words(stack: Stack, tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)

    done = stack.command("apply", str(path))

    assert done.returncode in (2, 4)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_there_is_told_with_what_to_do(stack: Stack, tmp_path: Path) -> None:
    if "PIPEWRIGHT_NATS_URL" in stack.environment:
        pytest.skip("this stack is found by its settings, not by its data directory")

    done = stack.command("run", "greeting", "--data-dir", str(tmp_path / "none"))

    assert done.returncode == 5
    assert "pipewright up" in done.stderr


@pytest.mark.parametrize(
    "command", [("types",), ("run", "greeting"), ("topology",), ("doctor",)], ids=lambda words: words[0]
)
def test_nats_that_is_away_is_told_in_words_alone(stack: Stack, command: tuple[str, ...]) -> None:
    port = free_port()
    elsewhere = Stack(
        stack.data_dir, {**stack.environment, "PIPEWRIGHT_NATS_URL": f"nats://me:hidden@127.0.0.1:{port}"}
    )

    done = elsewhere.command(*command)

    said = done.stdout + done.stderr
    assert done.returncode == (1 if command == ("doctor",) else 5)
    assert f"127.0.0.1:{port}: connection refused. Is it running, are its address and password right?" in said
    assert "Traceback" not in said
    assert "hidden" not in said


async def test_follow_tells_of_retries(stack: Stack, tmp_path: Path, ledger: Ledger) -> None:
    retry = {"max_attempts": 2, "initial_delay_s": 0.01}
    nodes = [fetch("call", f"{ledger.url}/fail/1/followed", retry=retry), text("after", "{{ previous.status }}")]
    stack.command("apply", write(tmp_path, pipeline("retried", nodes, [edge("call", "after")])))

    done = await asyncio.to_thread(stack.command, "run", "retried", "--follow")

    # The failure itself may have been before the first event that was heard; the count is always told.
    assert re.search(r"^  call +completed .*2 attempts$", done.stdout, re.MULTILINE), done.stdout
    assert done.stdout.endswith("after\n200\n")
