"""The plan of the local stack: which processes there are, and what each of them is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.cli.local.state import LocalState
from services.cli.plan import PROVIDER_KEYS, WORKER_GROUPS, Options, Part, common_environment, service_parts
from services.executors.registry import BUILT_IN

STATE = LocalState(nats_port=4222, postgres_port=5432, demo_model_port=9001, demo_api_port=9002)


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROVIDER_KEYS, "PIPEWRIGHT_ALLOW_ADDRESSES", "PIPEWRIGHT_LLM_PROVIDER", "PIPEWRIGHT_LLM_URLS"):
        monkeypatch.delenv(name, raising=False)


def parts(**options: Any) -> dict[str, Part]:
    return {part.name: part for part in service_parts(Options(Path("/nowhere"), **options), STATE)}


def test_the_stack_has_one_of_each_service():
    assert list(parts()) == [
        "definition-1",
        "coordinator-1",
        "gateway-1",
        "worker-text-condition-transform-1",
        "worker-http_request-1",
        "worker-llm-1",
        "demo-model-1",
        "demo-api-1",
    ]


def test_every_built_in_type_is_served_once():
    assert sorted(name for group in WORKER_GROUPS for name in group) == sorted(BUILT_IN)


def test_a_type_is_scaled_without_touching_anything_else():
    more = set(parts(workers={"llm": 3})) - set(parts())
    assert more == {"worker-llm-2", "worker-llm-3"}


def test_small_types_share_as_many_workers_as_the_largest_of_them_asks_for():
    more = set(parts(workers={"text": 2, "condition": 3})) - set(parts())
    assert more == {"worker-text-condition-transform-2", "worker-text-condition-transform-3"}


def test_every_coordinator_has_the_same_secret():
    secrets = [part.environment["PIPEWRIGHT_SECRET"] for name, part in parts(coordinators=3).items() if "coord" in name]
    assert secrets == [STATE.secret] * 3


@pytest.mark.parametrize(
    ("variable", "owners"),
    [
        ("PIPEWRIGHT_SECRET", {"coordinator"}),
        ("PIPEWRIGHT_API_KEY", {"gateway"}),
        ("PIPEWRIGHT_DATABASE_URL", {"definition", "coordinator", "gateway"}),
        ("PIPEWRIGHT_WORKER_NAME", {"worker"}),
    ],
)
def test_a_process_is_told_only_what_it_needs(variable: str, owners: set[str]):
    told = {name.split("-")[0] for name, part in parts().items() if variable in part.environment}
    assert told == owners


def test_servers_that_are_there_are_used():
    options = Options(Path("/nowhere"), nats_url="nats://there", database_url="postgresql://there")
    assert common_environment(options, STATE) == {
        "PIPEWRIGHT_NATS_URL": "nats://there",
        "PIPEWRIGHT_DATABASE_URL": "postgresql://there",
    }


def test_without_a_provider_the_demo_model_answers():
    worker = parts()["worker-llm-1"].environment
    assert worker["PIPEWRIGHT_LLM_PROVIDER"] == "demo"
    assert worker["PIPEWRIGHT_LLM_URLS"] == "demo=http://127.0.0.1:9001/v1"


def test_with_the_key_of_a_provider_there_is_no_demo_model(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XAI_API_KEY", "k")
    planned = parts()
    assert "demo-model-1" not in planned
    assert planned["worker-llm-1"].environment["PIPEWRIGHT_LLM_PROVIDER"] == "xai"


def test_a_provider_that_was_chosen_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPEWRIGHT_LLM_PROVIDER", "ollama")
    assert "PIPEWRIGHT_LLM_PROVIDER" not in parts()["worker-llm-1"].environment


def test_the_demo_api_may_be_reached_besides_what_the_user_allows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPEWRIGHT_ALLOW_ADDRESSES", "10.0.0.1:80")
    worker = parts()["worker-http_request-1"].environment
    assert worker["PIPEWRIGHT_ALLOW_ADDRESSES"] == "10.0.0.1:80,127.0.0.1:9002"


def test_each_service_has_a_health_port_of_its_own_when_one_is_given():
    ports = {name: part.environment.get("PIPEWRIGHT_HEALTH_PORT") for name, part in parts(health_port=9100).items()}

    assert list(ports.values())[:4] == ["9100", "9101", "9102", "9103"]
    assert len(set(ports.values())) == len(ports)
    assert not [part for part in parts().values() if "PIPEWRIGHT_HEALTH_PORT" in part.environment]
