"""What the local stack consists of: which process gets which name, and which settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from services.cli.children import execute
from services.cli.local.nats_server import prepare_nats
from services.cli.local.postgres_server import prepare_postgres
from services.cli.local.state import LocalState
from services.cli.services import run_demo, run_service_process

Body = Callable[[Callable[[], None]], None]

#: Each of these is one process.
WORKER_GROUPS = (("text", "condition", "transform"), ("http_request",), ("llm",))
#: Without any of these, the demo model answers.
PROVIDER_KEYS = {"OPENROUTER_API_KEY": "openrouter", "XAI_API_KEY": "xai", "OPENAI_API_KEY": "openai"}


@dataclass(frozen=True)
class Options:
    """What the user of `up` asked for."""

    data_dir: Path
    port: int = 8080
    host: str = "127.0.0.1"
    workers: Mapping[str, int] = field(default_factory=dict)
    coordinators: int = 1
    #: Existing servers; None where one of our own is started.
    nats_url: str | None = None
    nats_replicas: int = 1
    #: Of the first service; the others have the ports after it. 0 for none.
    health_port: int = 0
    database_url: str | None = None


@dataclass(frozen=True)
class Part:
    """One process of the stack."""

    name: str
    body: Body
    environment: dict[str, str] = field(default_factory=dict)
    #: Set when it is ready once this port answers, instead of by its own word.
    port: int | None = None


def server_parts(options: Options, state: LocalState) -> list[Part]:
    """NATS and Postgres, as far as they are not there already."""
    parts = []
    if options.database_url is None:
        command = prepare_postgres(state, options.data_dir)
        parts.append(Part("postgres", execute(command), port=state.postgres_port))
    if options.nats_url is None:
        command = prepare_nats(state, options.data_dir)
        # It is woken at every message, and better takes all that were sent meanwhile.
        parts.append(Part("nats", execute(command, patient=True), port=state.nats_port))
    return parts


def common_environment(options: Options, state: LocalState) -> dict[str, str]:
    return {
        "PIPEWRIGHT_NATS_URL": options.nats_url or state.nats_url,
        "PIPEWRIGHT_DATABASE_URL": options.database_url or state.database_url,
    }


def given_settings(options: Options) -> dict[str, dict[str, object]]:
    """Package of a service -> the settings that the stack decides; the rest is read from the environment."""
    return {
        "gateway": {"host": options.host, "port": options.port},
        "definition": {},
        "coordinator": {"secret": LocalState().secret},
        "executors": {},
    }


def service_parts(options: Options, state: LocalState) -> list[Part]:
    """All services, and the demo servers as far as they are needed."""
    common = common_environment(options, state)
    gateway = {
        "PIPEWRIGHT_PORT": str(options.port),
        "PIPEWRIGHT_HOST": options.host,
        "PIPEWRIGHT_API_KEY": state.api_key,
    }
    parts = [_service("definition", 1, common)]
    parts += [
        _service("coordinator", number, common | {"PIPEWRIGHT_SECRET": state.secret})
        for number in range(1, options.coordinators + 1)
    ]
    parts.append(_service("gateway", 1, common | gateway))
    for types in WORKER_GROUPS:
        count = max(options.workers.get(name, 1) for name in types)
        environment = {"PIPEWRIGHT_NATS_URL": common["PIPEWRIGHT_NATS_URL"]} | _worker_environment(types, state)
        parts += [_worker(types, number, environment) for number in range(1, count + 1)]
    if not provider_from_environment():
        parts.append(Part("demo-model-1", partial(run_demo, "model", state.demo_model_port)))
    parts.append(Part("demo-api-1", partial(run_demo, "api", state.demo_api_port)))
    return [_with_health(part, number, options.health_port) for number, part in enumerate(parts)]


def _with_health(part: Part, number: int, first_port: int) -> Part:
    """Health ports of one machine follow each other, in the order of the parts."""
    if not first_port:
        return part
    return replace(part, environment=part.environment | {"PIPEWRIGHT_HEALTH_PORT": str(first_port + number)})


def _service(service: str, number: int, environment: dict[str, str]) -> Part:
    name = f"{service}-{number}"

    def body(on_ready: Callable[[], None]) -> None:
        run_service_process(service, on_ready=on_ready)

    return Part(name, body, environment)


def _worker(types: tuple[str, ...], number: int, environment: dict[str, str]) -> Part:
    name = f"worker-{'-'.join(types)}-{number}"

    def body(on_ready: Callable[[], None]) -> None:
        run_service_process("worker", types, on_ready)

    return Part(name, body, environment | {"PIPEWRIGHT_WORKER_NAME": name})


def provider_from_environment() -> str | None:
    return next((name for variable, name in PROVIDER_KEYS.items() if os.environ.get(variable)), None)


def _worker_environment(types: tuple[str, ...], state: LocalState) -> dict[str, str]:
    """The http worker may reach the demo API; the llm worker asks the provider with a key, or the demo model."""
    environment = {}
    if "http_request" in types:
        allowed = os.environ.get("PIPEWRIGHT_ALLOW_ADDRESSES", "")
        environment["PIPEWRIGHT_ALLOW_ADDRESSES"] = ",".join(
            filter(None, [allowed, f"127.0.0.1:{state.demo_api_port}"])
        )
    if "llm" in types and "PIPEWRIGHT_LLM_PROVIDER" not in os.environ:
        environment["PIPEWRIGHT_LLM_PROVIDER"] = provider_from_environment() or "demo"
    if "llm" in types and not provider_from_environment():
        urls = os.environ.get("PIPEWRIGHT_LLM_URLS", "")
        demo = f"demo=http://127.0.0.1:{state.demo_model_port}/v1"
        environment["PIPEWRIGHT_LLM_URLS"] = ",".join(filter(None, [urls, demo]))
    return environment
