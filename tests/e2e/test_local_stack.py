"""`up` and `down`: restart of what dies, a clean stop however it ends, and data for the next start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.eventually import eventually
from tests.ports import free_port
from tests.stack import API_KEY, PIPEWRIGHT, Stack, clean_environment


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    """A stack of this test alone, not yet started."""
    stack = Stack(tmp_path / "data")
    yield stack
    stack.stop()


def processes_of(stack: Stack) -> list[psutil.Process]:
    """Supervisor, services and servers, with all their children."""
    supervisor = psutil.Process(stack.supervisor_pid())
    return [supervisor, *supervisor.children(recursive=True)]


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if _is_running(process)]


def _is_running(process: psutil.Process) -> bool:
    """It may end between the two questions."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def run_greeting(stack: Stack) -> httpx.Response:
    async with httpx.AsyncClient(base_url=stack.gateway, timeout=30) as client:
        return await client.post(
            "/api/v3/pipelines/greeting/execute?wait=20",
            json={"input": {"name": "Ada"}},
            headers={"authorization": f"Bearer {API_KEY}"},
        )


async def test_data_is_kept_from_one_start_to_the_next(own: Stack) -> None:
    own.start()
    run_id = (await run_greeting(own)).json()["id"]
    own.stop()

    own.start()

    async with httpx.AsyncClient(base_url=own.gateway, headers={"authorization": f"Bearer {API_KEY}"}) as client:
        found = await client.get(f"/api/v3/pipeline_runs/{run_id}")
    assert found.json()["status"] == "completed"
    assert (await run_greeting(own)).json()["version"] == 1


async def test_stop_leaves_nothing_running(own: Stack) -> None:
    own.start()
    processes = processes_of(own)
    assert len(processes) > 8

    own.stop()

    # A process lets go of its lock a moment before it is gone.
    await eventually(lambda: not running(processes), "the end of all processes", timeout_s=1)
    assert own.command("status").returncode == 5


def test_interrupt_in_the_foreground_stops_all_in_order(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data")
    command = [PIPEWRIGHT, "up", "--port", str(stack.port), "--data-dir", str(stack.data_dir)]
    environment = clean_environment() | {"PIPEWRIGHT_API_KEY": API_KEY}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as foreground:
        assert foreground.stdout is not None
        lines = []
        for line in foreground.stdout:
            lines.append(line)
            if "Stop it with Ctrl-C" in line:
                break
        processes = processes_of(stack)
        foreground.send_signal(signal.SIGINT)
        rest = foreground.stdout.read()

    assert foreground.returncode == 0
    assert "Hello, Ada!" in "".join(lines)
    assert rest.endswith("stopped; the data is kept for the next start\n")
    assert running(processes) == []


def test_interrupt_while_it_starts_stops_at_once(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data")
    command = [PIPEWRIGHT, "up", "--port", str(stack.port), "--data-dir", str(stack.data_dir)]
    with subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, text=True) as foreground:
        assert foreground.stdout is not None
        for line in foreground.stdout:
            if line.startswith("setting up"):
                break
        processes = processes_of(stack)
        foreground.send_signal(signal.SIGINT)
        rest = foreground.stdout.read()

    assert foreground.returncode == 130
    assert rest == "stopping before all was ready ...\n"
    assert running(processes) == []


async def test_killed_supervisor_leaves_nothing_running_and_starts_again(own: Stack) -> None:
    own.start()
    processes = processes_of(own)

    os.kill(own.supervisor_pid(), signal.SIGKILL)

    stopped = own.command("down")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    await eventually(lambda: not running(processes), "the end of all processes", timeout_s=60)
    # NATS and Postgres went at the same moment.
    assert [path.name for path in (own.data_dir / "logs").glob("*.log") if "Traceback" in path.read_text()] == []
    own.start()
    assert (await run_greeting(own)).json()["status"] == "completed"


async def test_what_dies_is_restarted(own: Stack) -> None:
    own.start()
    before = own.pids()

    for name in ("gateway-1", "nats", "postgres", "worker-llm-1"):
        os.kill(before[name], signal.SIGKILL)

    def is_back() -> bool:
        services = own.status()["services"]
        return all(part["state"] == "running" for part in services) and own.pids()["nats"] != before["nats"]

    await eventually(is_back, "the restart", timeout_s=60)

    async def completes() -> bool:
        try:
            return (await run_greeting(own)).json()["status"] == "completed"
        except httpx.TransportError:
            return False

    await eventually(completes, "a run after the restart", timeout_s=60)
    restarts = {part["name"]: part["restarts"] for part in own.status()["services"]}
    assert restarts["nats"] == restarts["gateway-1"] == 1
    assert os.sched_getscheduler(own.pids()["nats"]) == os.SCHED_BATCH, "it interrupts nobody"


async def test_second_start_in_the_same_directory_is_refused(own: Stack) -> None:
    own.start()

    second = own.command("up", "--detach", "--port", str(free_port()))

    assert second.returncode == 2
    assert "running" in second.stderr
    assert (await run_greeting(own)).status_code == 200


def test_taken_port_is_told(own: Stack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", own.port))
        other.listen()

        refused = own.command("up", "--detach", "--port", str(own.port))

    assert refused.returncode == 2
    assert f"port {own.port} is taken" in refused.stderr


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PIPEWRIGHT_API_KEY", "short", "PIPEWRIGHT_API_KEY: is shorter than 8 characters"),
        ("PIPEWRIGHT_LOG_LEVEL", "LOUD", "PIPEWRIGHT_LOG_LEVEL: "),
        ("PIPEWRIGHT_NATS_URL", "nats://there:4222?x=1", "PIPEWRIGHT_NATS_URL: a NATS URL takes ?ca=FILE only"),
        ("PIPEWRIGHT_DATABASE_URL", "there", "PIPEWRIGHT_DATABASE_URL: is no URL of a Postgres database"),
    ],
)
def test_wrong_setting_is_told_before_anything_is_started_or_kept(
    own: Stack, name: str, value: str, words: str
) -> None:
    own.environment[name] = value

    refused = own.command("up", "--detach", "--port", str(own.port))

    assert refused.returncode == 2
    assert words in refused.stderr
    assert "Example: " in refused.stderr
    assert not own.data_dir.exists()


def test_servers_that_are_there_and_do_not_answer_are_told_in_words(own: Stack) -> None:
    own.environment["PIPEWRIGHT_DATABASE_URL"] = f"postgresql://me:hidden@127.0.0.1:{free_port()}/none"

    failed = own.command("up", "--detach", "--port", str(own.port))

    assert failed.returncode == 1
    said = failed.stdout + failed.stderr
    assert "refused" in said
    assert "Traceback" not in said
    assert "hidden" not in said


def test_down_without_a_stack_says_so(own: Stack) -> None:
    done = own.command("down")

    assert (done.returncode, done.stdout) == (0, f"nothing runs in {own.data_dir}\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [("PIPEWRIGHT_SLOTS", "llm"), ("PIPEWRIGHT_LOG_LEVEL", "LOUD"), ("PIPEWRIGHT_LLM_URLS", "x")],
)
def test_wrong_setting_stops_the_start_with_its_name_and_an_example(own: Stack, name: str, value: str) -> None:
    done = subprocess.run(
        [PIPEWRIGHT, "serve", "worker", "--types", "llm"],
        env=clean_environment() | {name: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert name in done.stderr
    assert "Example: " in done.stderr
    assert "Traceback" not in done.stderr


async def test_two_coordinators_and_more_workers_share_the_work(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data", arguments=("--coordinators", "2", "--workers", "llm=2"))
    with stack:
        names = {part["name"] for part in stack.status()["services"]}
        assert {"coordinator-1", "coordinator-2", "worker-llm-1", "worker-llm-2"} <= names
        for _ in range(10):
            assert (await run_greeting(stack)).json()["status"] == "completed"
