"""The `pipewright` command.

Modules of commands import what a call needs when it is called, so that no command waits for the parts of others.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from services.cli.commands import keys, nats_users, operate, pipelines, prune, runs
from services.cli.options import DataDir, Json, Replicas
from services.cli.output import EXIT_USAGE, OUT, fail, make_table, print_json

app = typer.Typer(
    help="Pipewright runs node-based LLM workflows as message-driven services.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(pipelines.apply)
app.command()(runs.run)
runs.runs_app.command()(prune.prune)
app.add_typer(runs.runs_app, name="runs")
app.add_typer(pipelines.pipelines_app, name="pipelines")
app.command()(pipelines.types)
app.add_typer(keys.keys_app, name="keys")
app.command()(operate.doctor)
app.command()(operate.serve)
app.command()(operate.migrate)
app.command()(operate.topology)
app.command()(nats_users.nats_users)


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, envvar="PIPEWRIGHT_PORT", help="Of the gateway")] = 8080,
    detach: Annotated[bool, typer.Option(help="Return when all is ready, and leave it running")] = False,
    workers: Annotated[
        list[str] | None, typer.Option(help="type=n: so many worker processes, for example llm=4")
    ] = None,
    coordinators: Annotated[int, typer.Option(min=1, max=16)] = 1,
    host: Annotated[str, typer.Option(envvar="PIPEWRIGHT_HOST")] = "127.0.0.1",
    replicas: Replicas = 1,
    health_port: Annotated[
        int,
        typer.Option(min=0, max=65000, envvar="PIPEWRIGHT_HEALTH_PORT", help="/metrics of the first service; then on"),
    ] = 0,
    data_dir: DataDir = None,
) -> None:
    """Start everything on this machine: NATS, Postgres and all services, with the examples loaded."""
    from services.cli.address import data_dir_of
    from services.cli.commands.up import up as start
    from services.cli.plan import Options

    if os.environ.get("PIPEWRIGHT_PROFILE") == "production":
        raise fail("'up' is for development: it serves a demo model. Use 'pipewright serve' in production.", EXIT_USAGE)
    options = Options(
        data_dir=data_dir_of(data_dir),
        port=port,
        host=host,
        workers=_counts(workers or []),
        coordinators=coordinators,
        nats_url=os.environ.get("PIPEWRIGHT_NATS_URL") or None,
        nats_replicas=replicas,
        health_port=health_port,
        database_url=os.environ.get("PIPEWRIGHT_DATABASE_URL") or None,
    )
    start(options, detach)


def _counts(pairs: list[str]) -> dict[str, int]:
    from services.executors.registry import BUILT_IN

    counts = {}
    for pair in pairs:
        name, _, count = pair.partition("=")
        if name not in BUILT_IN or not count.isdigit() or not 1 <= int(count) <= 64:
            raise fail(f"--workers {pair}: write it as type=n, with a type out of {', '.join(BUILT_IN)}.", EXIT_USAGE)
        counts[name] = int(count)
    return counts


@app.command()
def down(data_dir: DataDir = None) -> None:
    """Stop what 'up' started; the data is kept."""
    from services.cli.address import data_dir_of
    from services.cli.commands.down import down as stop

    stop(data_dir_of(data_dir))


@app.command()
def status(as_json: Json = False, data_dir: DataDir = None) -> None:
    """What 'up' started, and how it is."""

    from services.cli.address import data_dir_of
    from services.cli.commands.down import require_status

    found = require_status(data_dir_of(data_dir))
    if as_json:
        print_json(found)
        return
    for name in ("gateway", "nats", "postgres"):
        OUT.print(f"{name:<9} {found[name]}", markup=False)
    table = make_table("name", "pid", "state", "restarts")
    for service in found["services"]:
        table.add_row(service["name"], str(service["pid"] or ""), service["state"], str(service["restarts"]))
    OUT.print(table)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
