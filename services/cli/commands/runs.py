"""`run` and `runs`: start, follow, list, show and cancel runs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.markup import escape

from services.cli.address import with_client
from services.cli.options import DataDir, Json
from services.cli.output import (
    EXIT_CANCELLED,
    EXIT_FAILED,
    EXIT_USAGE,
    OUT,
    fail,
    make_table,
    moment,
    print_json,
    state,
)
from shared.contracts.states import RunStatus

if TYPE_CHECKING:
    from shared.client import PipewrightClient
    from shared.contracts.runs import Run, RunPage

runs_app = typer.Typer(help="List, show and cancel runs.", no_args_is_help=True)

EXIT_CODES = {RunStatus.COMPLETED: 0, RunStatus.FAILED: EXIT_FAILED, RunStatus.CANCELLED: EXIT_CANCELLED}


def run(
    pipeline: Annotated[str, typer.Argument(help="Slug or id")],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="key=value; the value is JSON if it parses as that, else text"),
    ] = None,
    input_file: Annotated[Path | None, typer.Option(help="A JSON object; - for standard input")] = None,
    follow_run: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Show each node as it ends; with --json, a line for each event, and the run last"
        ),
    ] = False,
    wait_s: Annotated[float, typer.Option("--wait", help="Seconds to wait for the end")] = 3600.0,
    detach: Annotated[bool, typer.Option(help="Print the id and do not wait")] = False,
    hold: Annotated[bool, typer.Option(help="Let it wait until 'pipewright runs start'")] = False,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key and input are the same run")] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Run a pipeline. Exit code 0 when it completed, 1 when it failed, 3 when it was cancelled."""
    run_input = read_input(inputs or [], input_file)

    async def main(client: PipewrightClient) -> Run | None:
        started = await client.run(pipeline, run_input, idempotency_key=idempotency_key, hold=hold)
        if not as_json:
            OUT.print(f"run {started.run_id}")
        if detach or hold:
            if as_json:
                print_json(started)
            return None
        return await _ended(client, started.run_id, wait_s, is_followed=follow_run, as_json=as_json)

    try:
        ended = with_client(data_dir, main)
    except TimeoutError as error:
        raise fail(f"the run has not ended within {wait_s:g} s; 'pipewright runs show' tells how it goes.") from error
    if ended is not None:
        print_json(ended, is_line=follow_run) if as_json else show_end(ended)
        raise SystemExit(EXIT_CODES[ended.status])


async def _ended(client: PipewrightClient, run_id: UUID, wait_s: float, *, is_followed: bool, as_json: bool) -> Run:
    """The run when it has ended; raises TimeoutError when it does not in time."""
    if not is_followed:
        await client.wait(run_id, wait_s)
        return await client.get_run(run_id, include_node_results=True)
    from services.cli.commands.follow import follow, follow_as_json

    async with asyncio.timeout(wait_s):
        return await (follow_as_json if as_json else follow)(client, run_id)


def read_input(pairs: list[str], file: Path | None) -> dict[str, Any]:
    """The run's input; pairs win over the file."""
    found: Any = {}
    if file is not None:
        body = sys.stdin.buffer.read() if str(file) == "-" else _read(file)
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise fail(f"{file} is not JSON: {error}", EXIT_USAGE) from error
        if not isinstance(found, dict):
            raise fail(f"{file} must hold a JSON object.", EXIT_USAGE)
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise fail(f"--input {pair}: write it as key=value.", EXIT_USAGE)
        found[key] = _value(value)
    return dict(found)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise fail(f"{file} could not be read: {error.strerror}.", EXIT_USAGE) from error


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def show_end(ended: Run) -> None:
    took = f" in {ended.duration_ms:.1f} ms" if ended.duration_ms is not None else ""
    OUT.print(f"{state(ended.status)}{took}")
    if ended.error is not None:
        where = f"node '{ended.error.node_key}': " if ended.error.node_key else ""
        OUT.print(f"  {where}{escape(ended.error.message)}")
    for key, output in (ended.output or {}).items():
        text = output.get("text")
        if not isinstance(text, str):
            text = orjson.dumps(output, option=orjson.OPT_INDENT_2).decode()
        OUT.print(f"[bold]{key}[/]")
        OUT.print(escape(text))


@runs_app.command("list")
def list_runs(
    status: Annotated[RunStatus | None, typer.Option(help="Only runs in this state")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    after: Annotated[UUID | None, typer.Option(help="The id that the last page ended with")] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Runs, newest first."""

    async def main(client: PipewrightClient) -> RunPage:
        return await client.list_runs(status=status, limit=limit, after=after)

    page = with_client(data_dir, main)
    if as_json:
        print_json(page)
        return
    table = make_table("id", "pipeline", "status", "done", "started (UTC)", "duration")
    for found in page.runs:
        table.add_row(
            str(found.id),
            f"{found.pipeline_slug} {found.version or ''}",
            state(found.status),
            f"{found.progress_percent} %",
            moment(found.started_at),
            f"{found.duration_ms:.1f} ms" if found.duration_ms is not None else "",
        )
    none = "no such runs" if status or after else "no runs yet; start one with 'pipewright run PIPELINE'"
    OUT.print(table if page.runs else none)


@runs_app.command()
def show(run_id: UUID, as_json: Json = False, data_dir: DataDir = None) -> None:
    """A run and how each of its nodes went."""

    async def main(client: PipewrightClient) -> Run:
        return await client.get_run(run_id, include_node_results=True)

    found = with_client(data_dir, main)
    if as_json:
        print_json(found)
        return
    OUT.print(f"{found.pipeline_slug} version {found.version}: {found.progress_percent} %")
    table = make_table("node", "type", "status", "attempts", "duration", "worker")
    for node in found.node_results or []:
        duration = node.metadata.get("duration_ms")
        table.add_row(
            node.node_key,
            node.node_type,
            state(node.status) if node.started_at or node.status != "running" else "queued",
            str(len(node.attempts)),
            f"{duration:.1f} ms" if duration is not None else "",
            node.metadata.get("worker") or "",
        )
    OUT.print(table)
    for node in found.node_results or []:
        if node.error is not None:
            OUT.print(f"[red]{node.node_key}[/]: {escape(node.error.message)}")
    show_end(found)


@runs_app.command()
def cancel(run_id: UUID, as_json: Json = False, data_dir: DataDir = None) -> None:
    """Cancel a run: nothing of it is begun any more."""

    async def main(client: PipewrightClient) -> Run:
        return await client.cancel(run_id)

    found = with_client(data_dir, main)
    print_json(found) if as_json else OUT.print(f"run {found.id} is {state(found.status)}")


@runs_app.command()
def start(run_id: UUID, as_json: Json = False, data_dir: DataDir = None) -> None:
    """Start a run that was made with --hold."""

    async def main(client: PipewrightClient) -> Run:
        return await client.release(run_id)

    found = with_client(data_dir, main)
    print_json(found) if as_json else OUT.print(f"run {found.id} is {state(found.status)}")


@runs_app.command()
def retry(
    run_id: UUID,
    whole: Annotated[bool, typer.Option(help="Run everything, not only what failed and what follows it")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Run it again, as a new run that keeps what is done."""

    async def main(client: PipewrightClient) -> Run:
        return await client.retry(run_id, "start" if whole else "failed")

    found = with_client(data_dir, main)
    print_json(found) if as_json else OUT.print(f"run {found.id} is {state(found.status)}")
