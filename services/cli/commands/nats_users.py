"""`nats-users`: the configuration of NATS that gives each service no more than it needs."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.output import EXIT_USAGE, fail


def nats_users(
    executors: Annotated[
        list[str] | None,
        typer.Option(
            "--executor",
            help="name=type,type: one more user, for the processes that serve these types; for example shout=shout",
        ),
    ] = None,
) -> None:
    """Print the users of NATS, for `include users.conf`; a user for each type that comes with Pipewright, and more."""
    from services.cli.nats_conf import EXECUTORS, users_conf

    more = {}
    for text in executors or []:
        name, _, types = text.partition("=")
        names = [one.strip() for one in types.split(",") if one.strip()]
        if not name.replace("-", "_").isidentifier() or not names:
            raise fail(f"--executor {text}: write it as name=type,type.", EXIT_USAGE)
        more[name] = names
    try:
        text = users_conf({**EXECUTORS, **more})
    except ValueError as error:
        raise fail(str(error), EXIT_USAGE) from error
    typer.echo(text, nl=False)
