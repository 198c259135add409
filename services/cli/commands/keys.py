"""`keys`: make, list and revoke API keys, in the database itself, so that the first key needs no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from pydantic import ValidationError
from rich.markup import escape

from services.cli.database import in_database
from services.cli.options import DataDir, Json
from services.cli.output import EXIT_REFUSED, EXIT_USAGE, OUT, fail, make_table, print_json

if TYPE_CHECKING:
    from shared.contracts.api_keys import ApiKey, MadeApiKey, NewApiKey
    from shared.postgres import Connection

keys_app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)

#: Keys read at once.
PAGE = 200


@keys_app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who or what it is for")],
    scopes: Annotated[
        list[str],
        typer.Option(
            "--scope",
            help="What it may do; give it several times: pipelines:read, pipelines:write, runs:start, runs:read, "
            "runs:cancel, or admin for everything",
        ),
    ],
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Left out, it is good until it is revoked")
    ] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Make an API key, and show it this once."""
    from services.gateway import key_store
    from services.gateway.api_key import digest_of, new_secret
    from shared.contracts.api_keys import MadeApiKey

    wanted, secret = _wanted(name, scopes, expires_in_days), new_secret()
    made = in_database(data_dir, lambda connection: key_store.insert_key(connection, wanted, digest_of(secret)))
    shown = MadeApiKey(**made.model_dump(), key=secret)
    print_json(shown) if as_json else _show(shown)


def _wanted(name: str, scopes: list[str], expires_in_days: int | None) -> NewApiKey:
    from shared.contracts.api_keys import NewApiKey, Scope

    for scope in scopes:
        if scope not in list(Scope):
            raise fail(f"--scope {scope}: there is no such scope. Known are: {', '.join(Scope)}.", EXIT_USAGE)
    expires_at = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days is not None else None
    try:
        return NewApiKey(name=name, scopes=frozenset(map(Scope, scopes)), expires_at=expires_at)
    except ValidationError as error:
        raise fail("NAME: choose 1 to 200 characters, all of which can be printed.", EXIT_USAGE) from error


def _show(made: MadeApiKey) -> None:
    OUT.print(f"key      {made.key}", markup=False)
    OUT.print(f"id       {made.id}", markup=False)
    OUT.print(f"scopes   {' '.join(sorted(made.scopes))}", markup=False)
    OUT.print(f"expires  {_time(made.expires_at) or 'never'}", markup=False)
    OUT.print("It is shown this once and kept nowhere: put it where it is safe.")


@keys_app.command("list")
def list_keys(as_json: Json = False, data_dir: DataDir = None) -> None:
    """All keys, newest first, times in UTC; the keys themselves are kept nowhere."""
    keys = in_database(data_dir, _all_keys)
    if as_json:
        print_json([key.model_dump(mode="json") for key in keys])
        return
    table = make_table("id", "name", "scopes", "state", "created (UTC)", "expires (UTC)", "last used (UTC)")
    for key in keys:
        table.add_row(
            str(key.id),
            escape(key.name),
            " ".join(sorted(key.scopes)),
            _state(key),
            _time(key.created_at),
            _time(key.expires_at) or "never",
            _time(key.last_used_at) or "never",
        )
    OUT.print(table if keys else "no keys yet; make one with 'pipewright keys create NAME --scope SCOPE'")


async def _all_keys(connection: Connection) -> list[ApiKey]:
    from services.gateway import key_store

    found: list[ApiKey] = []
    after: UUID | None = None
    while True:
        page = await key_store.list_keys(connection, PAGE, after)
        found += page.keys
        if (after := page.next_after) is None:
            return found


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "[red]revoked[/]"
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        return "[yellow]expired[/]"
    return "[green]good[/]"


def _time(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at is not None else ""


@keys_app.command()
def revoke(key_id: Annotated[UUID, typer.Argument(help="As 'keys list' shows it")], data_dir: DataDir = None) -> None:
    """Revoke a key for ever: every gateway refuses it within 5 seconds."""
    from services.gateway import key_store

    revoked = in_database(data_dir, lambda connection: key_store.revoke_key(connection, key_id))
    if revoked is None:
        raise fail(f"there is no key {key_id}. 'pipewright keys list' shows all.", EXIT_REFUSED)
    key, _ = revoked
    OUT.print(f"key {key.id} ({key.name}) was revoked at {_time(key.revoked_at)} UTC", markup=False)
