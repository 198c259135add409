"""`serve`, `migrate`, `topology` and `doctor`: for those who run Pipewright."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from services.cli.address import data_dir_of, database_url_of, nats_url_of
from services.cli.options import DataDir, Json, Replicas
from services.cli.output import EXIT_UNAVAILABLE, EXIT_USAGE, OUT, fail, print_json, refused
from shared.errors import ServiceError, words_of

Monitoring = Annotated[
    str | None,
    typer.Option(envvar="PIPEWRIGHT_NATS_MONITORING_URL", help="Monitoring port of NATS, such as http://nats:8222"),
]


def serve(
    service: Annotated[str, typer.Argument(help="gateway, definition, coordinator or worker")],
    types: Annotated[str, typer.Option(help="Node types of a worker, with commas between")] = "",
) -> None:
    """Run one service in this process, until a signal; settings come from the environment."""
    from services.cli.services import SERVICES, run_service_process

    if service not in SERVICES:
        raise fail(f"there is no service '{service}'. Known are: {', '.join(SERVICES)}.", EXIT_USAGE)
    names = [name.strip() for name in types.split(",") if name.strip()]
    if service == "worker" and not names:
        raise fail("a worker needs --types, for example --types llm.", EXIT_USAGE)
    run_service_process(service, names)


def migrate(as_json: Json = False, data_dir: DataDir = None) -> None:
    """Bring the tables into the shape of this version; safe to run twice and at once."""
    import psycopg

    from services.cli.setup import migrate_all
    from shared.postgres import MigrationError

    url = database_url_of(data_dir_of(data_dir))
    try:
        applied = asyncio.run(migrate_all(url))
    except MigrationError as error:
        raise fail(str(error)) from error
    except psycopg.OperationalError as error:
        raise fail(f"Postgres does not answer: {str(error).strip()}", EXIT_UNAVAILABLE) from error
    if as_json:
        print_json(applied)
    elif not any(applied.values()):
        OUT.print("nothing to do: all migrations are applied")
    else:
        for schema, names in applied.items():
            for name in names:
                OUT.print(f"{schema}: applied {name}")


def topology(
    replicas: Replicas = 1,
    monitoring_url: Monitoring = None,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Make or update streams, consumers and buckets; prints what differs, and is safe to run twice.

    With PIPEWRIGHT_PROFILE=production it refuses a server that is known to acknowledge before a write is on disk.
    """
    import nats.errors
    import nats.js.errors

    from services.cli.nats_sync import problem_of_sync
    from services.cli.setup import make_topology
    from shared.bus.topology import TopologyError

    url = nats_url_of(data_dir_of(data_dir))
    if monitoring_url and os.environ.get("PIPEWRIGHT_PROFILE") == "production":
        problem = asyncio.run(problem_of_sync(monitoring_url))
        if problem:
            raise fail(f"not in production: {problem}")
    try:
        differences = asyncio.run(make_topology(url, replicas))
    except TopologyError as error:
        raise fail(str(error)) from error
    except ServiceError as error:
        raise refused(error) from error
    except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
        raise fail(f"JetStream does not answer: {words_of(error)}", EXIT_UNAVAILABLE) from error
    if as_json:
        print_json([{"kind": one.kind, "name": one.name, "changes": one.changes} for one in differences])
    elif not differences:
        OUT.print("nothing to do: everything is as it should be")
    else:
        for one in differences:
            OUT.print(str(one))


def doctor(
    replicas: Replicas = 1, monitoring_url: Monitoring = None, as_json: Json = False, data_dir: DataDir = None
) -> None:
    """Check everything; says what is wrong and what to do. Exit code 1 when anything is wrong."""
    from services.cli.doctor import examine

    folder = data_dir_of(data_dir)
    findings = asyncio.run(
        examine(nats_url_of(folder), database_url_of(folder), Path(folder), replicas, monitoring_url)
    )
    if as_json:
        print_json([{"check": one.check, "is_good": one.is_good, "detail": one.detail} for one in findings])
    else:
        for one in findings:
            mark = "[green]ok[/]   " if one.is_good else "[red]wrong[/]"
            OUT.print(f"{mark} {escape(f'{one.check}: {one.detail}')}")
    if not all(one.is_good for one in findings):
        raise SystemExit(1)
