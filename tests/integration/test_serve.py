"""`pipewright serve`: a setting that cannot be used ends the start at once, in words; a signal ends it at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from services.cli.setup import make_topology
from shared.client import PipewrightClient
from tests.integration.processes import SERVICES, command, serving
from tests.ports import free_port
from tests.servers import monitored_nats_server, nats_server

SECRET = "a secret of at least thirty-two characters"


@pytest.mark.parametrize(
    ("service", "variable", "value", "words"),
    [
        ("gateway", "PIPEWRIGHT_PORT", "http", "unable to parse string as an integer"),
        ("gateway", "PIPEWRIGHT_API_KEY", "s3cret", "is shorter than 8 characters"),
        ("gateway", "PIPEWRIGHT_CORS_ORIGINS", "app.example.com", "'app.example.com' is no origin"),
        ("definition", "PIPEWRIGHT_DATABASE_URL", "postgres:s3cret", "is no URL of a Postgres database"),
        ("definition", "PIPEWRIGHT_NATS_URL", "tls://u:s3cret@nats?ca=/no/such/file", "cannot be read"),
        ("definition", "PIPEWRIGHT_NATS_URL", "nats://u:s3cret@nats?tls=1", "takes ?ca=FILE only"),
        ("coordinator", "PIPEWRIGHT_SECRET", "", "is not set, and has no default"),
        ("coordinator", "PIPEWRIGHT_SECRET", "s3cret", "is shorter than 32 characters"),
        ("coordinator", "PIPEWRIGHT_LEASE_S", "nan", "less than or equal to 3600"),
        ("worker", "PIPEWRIGHT_SLOTS", "llm", "not of the form name=value"),
        ("worker", "PIPEWRIGHT_LLM_PROVIDER", "opnai", "there is no provider 'opnai'. Known are: ollama, openai"),
        ("worker", "PIPEWRIGHT_LLM_URLS", "https://u:s3cret@host", "not of the form name=value"),
    ],
)
def test_a_wrong_value_is_one_clear_line(service: str, variable: str, value: str, words: str) -> None:
    types = ["--types", "llm"] if service == "worker" else []

    done = command("serve", service, *types, **{"PIPEWRIGHT_SECRET": SECRET, variable: value})

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{variable}: ")
    assert words in line
    assert f" Example: {variable}=" in line
    assert "s3cret" not in line


def test_an_unknown_type_is_one_clear_line() -> None:
    done = command("serve", "worker", "--types", "txt")

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("There is no node type txt. Known are: text,")


@pytest.mark.parametrize(
    ("service", "variables"),
    [
        ("gateway", ["NATS_URL", "DATABASE_URL", "API_KEY", "CORS_ORIGINS"]),
        ("coordinator", ["NATS_URL", "DATABASE_URL", "SECRET"]),
        ("worker", ["NATS_URL", "ALLOW_ADDRESSES", "LLM_PROVIDER"]),
    ],
)
def test_production_names_every_unsafe_value(service: str, variables: list[str]) -> None:
    types = ["--types", "llm"] if service == "worker" else []
    unsafe = {
        "API_KEY": "s3cret-s3cret",
        "SECRET": "s3cret" * 6,
        "CORS_ORIGINS": "*",
        "ALLOW_ADDRESSES": "127.0.0.1:8099",
        "LLM_PROVIDER": "demo",
    }

    done = command(
        "serve", service, *types, PIPEWRIGHT_PROFILE="production", **{f"PIPEWRIGHT_{k}": v for k, v in unsafe.items()}
    )

    assert done.returncode == 2
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [f"PIPEWRIGHT_{name}" for name in variables]
    assert "s3cret" not in done.stderr


def test_a_stack_with_a_demo_model_is_not_for_production(tmp_path: Path) -> None:
    done = command("up", "--data-dir", str(tmp_path), PIPEWRIGHT_PROFILE="production")

    assert done.returncode == 2
    assert "'up' is for development" in done.stderr


@pytest.mark.parametrize(
    ("is_synced", "profile", "words"),
    [
        (False, "production", "JetStream acknowledges writes before they are on disk"),
        (False, "development", None),
        (True, "production", None),
    ],
)
async def test_production_makes_no_streams_on_a_server_that_does_not_sync(
    tmp_path: Path, is_synced: bool, profile: str, words: str | None
) -> None:
    async with monitored_nats_server(tmp_path, is_synced=is_synced) as (url, monitoring):
        settings = {"PIPEWRIGHT_NATS_URL": url, "PIPEWRIGHT_NATS_MONITORING_URL": monitoring}

        done = await asyncio.to_thread(command, "topology", PIPEWRIGHT_PROFILE=profile, **settings)
        nobody = "postgresql://127.0.0.1:1/none"
        doctor = await asyncio.to_thread(command, "doctor", "--json", PIPEWRIGHT_DATABASE_URL=nobody, **settings)

    [found] = [one for one in orjson.loads(doctor.stdout) if one["check"] == "JetStream"]
    assert found["is_good"] is is_synced
    assert done.returncode == (0 if words is None else 1)
    assert ("stream RUN_REQUESTS" in done.stdout) == (words is None)
    if words is not None:
        assert words in done.stderr
        assert "sync_interval: always" in done.stderr


def test_a_monitoring_port_that_does_not_answer_is_no_proof() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    settings = {"PIPEWRIGHT_NATS_URL": "nats://127.0.0.1:1", "PIPEWRIGHT_NATS_MONITORING_URL": address}

    done = command("topology", PIPEWRIGHT_PROFILE="production", **settings)

    assert done.returncode == 1
    assert "did not tell whether writes are synced" in done.stderr


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_that_waits_for_nats_ends_at_a_signal(tmp_path: Path, service: str) -> None:
    settings = {
        "PIPEWRIGHT_NATS_URL": "nats://127.0.0.1:1",
        "PIPEWRIGHT_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "PIPEWRIGHT_SECRET": SECRET,
    }

    types = ["--types", "text"] if service == "worker" else []
    async with serving(tmp_path, service, *types, **settings) as process:
        await process.tells("connecting to NATS")

    assert "Traceback" not in process.path.read_text()


@pytest.mark.parametrize(
    ("service", "ask"),
    [("definition", PipewrightClient.node_types), ("coordinator", PipewrightClient.list_runs)],
)
async def test_a_service_that_stops_refuses_nothing_that_another_can_answer(
    tmp_path: Path,
    nats_url: str,
    database_url: str,
    service: str,
    ask: Callable[[PipewrightClient], Awaitable[object]],
) -> None:
    settings = {"PIPEWRIGHT_NATS_URL": nats_url, "PIPEWRIGHT_DATABASE_URL": database_url, "PIPEWRIGHT_SECRET": SECRET}
    stays, leaves = tmp_path / "stays", tmp_path / "leaves"
    stays.mkdir()
    leaves.mkdir()
    is_over = asyncio.Event()

    async def keep_asking(client: PipewrightClient) -> int:
        answers = 0
        while not is_over.is_set():
            await ask(client)
            answers += 1
        return answers

    async with serving(stays, service, **settings) as other, PipewrightClient.connect(nats_url) as client:
        async with serving(leaves, service, **settings) as leaving:
            for one in (other, leaving):
                await one.tells("service started")
            asking = [asyncio.create_task(keep_asking(client)) for _ in range(20)]
        is_over.set()
        answers = await asyncio.gather(*asking)

    assert min(answers) > 0


async def test_a_gateway_whose_port_is_taken_ends_and_says_so(tmp_path: Path, database_url: str) -> None:
    async with nats_server(tmp_path) as nats_url:
        await make_topology(nats_url)
        taken = nats_url.rsplit(":", 1)[1]
        settings = {"PIPEWRIGHT_NATS_URL": nats_url, "PIPEWRIGHT_DATABASE_URL": database_url, "PIPEWRIGHT_PORT": taken}

        done = await asyncio.to_thread(command, "serve", "gateway", **settings)

    assert done.returncode != 0
    assert "address already in use" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
