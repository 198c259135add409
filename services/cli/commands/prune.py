"""`runs prune`: delete old runs once, in the database itself, as PIPEWRIGHT_RETENTION_DAYS does all the time."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.database import in_database
from services.cli.options import DataDir, Json
from services.cli.output import EXIT_USAGE, OUT, counted, fail, print_json

if TYPE_CHECKING:
    from shared.postgres import Connection

#: While a coordinator or another command deletes.
TRY_AGAIN_S = 0.2
DAYS = {"d": 1, "w": 7, "y": 365}


def prune(
    older_than: Annotated[str, typer.Option(help="How long ago they ended: 30d, 6w or 1y; a day at least")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Delete runs that ended long ago, with all that belongs to them. Needs the role of 'pipewright migrate'."""
    from services.coordinator.store.retention import count_expired

    keep = read_age(older_than)
    if dry_run:
        count = in_database(data_dir, lambda connection: count_expired(connection, keep))
        print_json({"pipeline_runs": count}) if as_json else OUT.print(f"{counted(count, 'run')} would be deleted")
        return
    deleted = in_database(data_dir, lambda connection: _delete_all(connection, keep))
    if as_json:
        print_json(deleted)
    else:
        runs, results = deleted["pipeline_runs"], deleted["node_results"]
        was = "was" if runs == 1 else "were"
        OUT.print(f"{counted(runs, 'run')} {was} deleted, with {counted(results, 'node result')}")


def read_age(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,5})([dwy])", text)
    days = int(found[1]) * DAYS[found[2]] if found else 0
    if not 1 <= days <= 36_500:
        raise fail(f"--older-than {text}: write it as 30d, 6w or 1y, a day at least.", EXIT_USAGE)
    return timedelta(days=days)


async def _delete_all(connection: Connection, keep: timedelta) -> Counter[str]:
    """Batch after batch, in turns with whoever else deletes."""
    from services.coordinator.store.retention import delete_batch

    total: Counter[str] = Counter()
    while True:
        deleted = await delete_batch(connection, keep)
        if deleted is None:
            await asyncio.sleep(TRY_AGAIN_S)
            continue
        total.update(deleted)
        if not deleted["pipeline_runs"]:
            return total
