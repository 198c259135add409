"""`up`: the whole stack on this machine, as supervised processes."""

from __future__ import annotations

import gc
import os
import shlex
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from services.cli.address import data_dir_of
from services.cli.local.nats_server import MissingServerError
from services.cli.local.postgres_server import PostgresStartError
from services.cli.local.state import (
    LocalState,
    choose_ports,
    is_free,
    load_state,
    save_state,
    take_lock,
)
from services.cli.output import EXIT_INTERRUPTED, EXIT_USAGE, OUT, fail
from services.cli.plan import Options, common_environment, given_settings, server_parts, service_parts
from services.cli.services import PRELOADED, read_service_settings
from services.cli.supervisor import StartError, StoppedError, Supervisor
from shared.logging import redact_text
from shared.settings import SettingsError

#: So begins the last line that a stack says when it is ready.
STOP_WITH = "Stop it with"


def up(options: Options, detach: bool) -> None:
    """Start everything; in the foreground until Ctrl-C."""
    _check_settings(options)
    options.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _lock(options.data_dir)
    if not is_free(options.port, options.host):
        raise fail(f"port {options.port} is taken. Choose another with --port.", EXIT_USAGE)
    if detach:
        log = _new_log(options.data_dir)
        if pid := os.fork():
            os.close(log)
            _wait_for_detached(pid, options.data_dir)
            return
        _leave_terminal(log)
    _run(options, time.monotonic(), is_detached=detach)


def _lock(data_dir: Path) -> None:
    """Kept until the supervisor and its services have ended, so that `down` waits for all of them."""
    if take_lock(data_dir) is None:
        raise fail(
            f"a stack is running in {data_dir} already. 'pipewright status' shows it, 'pipewright down' stops it.",
            EXIT_USAGE,
        )


def _check_settings(options: Options) -> None:
    """What a service would refuse is refused before anything is started or kept."""
    try:
        for name, given in given_settings(options).items():
            read_service_settings(name, **given)
    except SettingsError as error:
        raise fail(str(error), EXIT_USAGE) from error


def _prepare(options: Options) -> LocalState:
    state = load_state(options.data_dir)
    names = ("nats_port", "postgres_port", "demo_model_port", "demo_api_port")
    ports = choose_ports(getattr(state, name) for name in names)
    state = state.model_copy(update=dict(zip(names, ports, strict=True)))
    if key := os.environ.get("PIPEWRIGHT_API_KEY"):
        state = state.model_copy(update={"api_key": key})
    save_state(options.data_dir, state)
    return state


def _run(options: Options, begun_at: float, *, is_detached: bool) -> None:
    (options.data_dir / "ready").unlink(missing_ok=True)
    state = _prepare(options)
    common = common_environment(options, state)
    addresses = {
        "gateway": f"http://{options.host}:{options.port}",
        "nats": common["PIPEWRIGHT_NATS_URL"],
        "postgres": common["PIPEWRIGHT_DATABASE_URL"],
    }
    supervisor = Supervisor(options.data_dir, addresses, lambda text: OUT.print(text, markup=False))
    try:
        _start(supervisor, options, state, common)
        _greet(options, state, addresses, time.monotonic() - begun_at, is_detached=is_detached)
        supervisor.run()
        OUT.print("stopping ...")
    except StoppedError as error:
        OUT.print("stopping before all was ready ...")
        raise SystemExit(EXIT_INTERRUPTED) from error
    except (StartError, MissingServerError, PostgresStartError) as error:
        raise fail(str(error)) from error
    finally:
        supervisor.stop()
        (options.data_dir / "ready").unlink(missing_ok=True)
    OUT.print("stopped; the data is kept for the next start")


def _start(supervisor: Supervisor, options: Options, state: LocalState, common: dict[str, str]) -> None:
    OUT.print("starting NATS and Postgres ...")
    supervisor.start(server_parts(options, state))
    for module in PRELOADED:
        import_module(module)
    # What is here now is shared with every child for as long as nobody touches it.
    gc.collect()
    gc.freeze()
    supervisor.wait_until_ready()
    OUT.print("setting up tables and streams ...")
    supervisor.run_step("setup", partial(_set_up, common, options.nats_replicas), {})
    OUT.print("starting the services ...")
    supervisor.start(service_parts(options, state))
    supervisor.wait_until_ready()
    OUT.print("loading the examples and running one ...")
    variables = {"DEMO_API": f"http://127.0.0.1:{state.demo_api_port}"}
    supervisor.run_step(
        "welcome",
        partial(_welcome, common["PIPEWRIGHT_NATS_URL"], variables, options.data_dir / "ready"),
        {},
    )


def _set_up(common: dict[str, str], nats_replicas: int, on_ready: Any) -> None:
    import psycopg

    from services.cli.services import run_async
    from services.cli.setup import make_topology, migrate_patiently
    from shared.bus.topology import TopologyError
    from shared.errors import ServiceError
    from shared.postgres import MigrationError

    async def main() -> None:
        await migrate_patiently(common["PIPEWRIGHT_DATABASE_URL"])
        await make_topology(common["PIPEWRIGHT_NATS_URL"], nats_replicas)

    try:
        run_async(main())
    except (psycopg.OperationalError, MigrationError, TopologyError, ServiceError) as error:
        raise SystemExit(redact_text(str(error))) from None


def _welcome(nats_url: str, variables: dict[str, str], result: Path, on_ready: Any) -> None:
    from services.cli.welcome import welcome

    welcome(nats_url, variables, result)


def _greet(options: Options, state: LocalState, addresses: dict[str, str], took_s: float, *, is_detached: bool) -> None:
    result = options.data_dir / "ready"
    if not result.exists():
        return
    run = orjson.loads(result.read_bytes())
    output = next(iter(run["output"].values()))["text"]
    key = "$PIPEWRIGHT_API_KEY" if os.environ.get("PIPEWRIGHT_API_KEY") else state.api_key
    here = "" if options.data_dir == data_dir_of(None) else f" --data-dir {shlex.quote(str(options.data_dir))}"
    stop = f"{STOP_WITH} {'' if is_detached else 'Ctrl-C, or '}'pipewright down{here}'."
    OUT.print(f"the example 'greeting' ran in {run['duration_ms']:.1f} ms: [green]{output}[/]")
    OUT.print(
        f"""
[bold]Pipewright is ready[/] ({took_s:.1f} s)
  gateway   {addresses["gateway"]}/docs
  API key   {key}
  data      {options.data_dir} (logs in logs/)

Try it in another terminal:
  pipewright run review --input 'text=What a day' --follow{here}
  curl -s -X POST '{addresses["gateway"]}/api/v3/pipelines/greeting/execute?wait=10' \\
    -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
    -d '{{"input": {{"name": "Grace"}}}}'

{stop}"""
    )


def _new_log(data_dir: Path) -> int:
    """Where the detached stack speaks; empty from before it begins, so that nobody reads an older one."""
    (data_dir / "logs").mkdir(exist_ok=True)
    return os.open(data_dir / "logs" / "up.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def _leave_terminal(log: int) -> None:
    os.setsid()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _wait_for_detached(pid: int, data_dir: Path) -> None:
    """Show what the detached stack says until it is ready."""
    log, shown = data_dir / "logs" / "up.log", 0
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        text = log.read_text()
        if ended:
            sys.stdout.write(text[shown:])
            raise SystemExit(os.waitstatus_to_exitcode(status) or 1)
        if STOP_WITH in text:
            sys.stdout.write(text[shown:])
            return
        sys.stdout.write(text[shown:])
        sys.stdout.flush()
        shown = len(text)
        time.sleep(0.05)
