"""`apply`, `pipelines` and `types`: what can be run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.markup import escape
from rich.table import Table

from services.cli.address import with_client
from services.cli.options import DataDir, Json
from services.cli.output import EXIT_USAGE, OUT, fail, print_json, state
from shared.client import PipewrightClient
from shared.contracts.pipelines import Applied, NodeTypeView, Pipeline, PipelinePage

pipelines_app = typer.Typer(help="List, show and delete pipelines.", no_args_is_help=True)


def apply(
    files: Annotated[list[Path], typer.Argument(help="YAML or JSON; - for standard input")],
    publish: Annotated[bool, typer.Option(help="Make a version that runs use")] = True,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Create or update pipelines from files; applying the same again changes nothing."""
    documents = [(file, read_document(file)) for file in files]

    async def main(client: PipewrightClient) -> list[Applied]:
        return [await client.apply(document, publish=publish) for _, document in documents]

    applied = with_client(data_dir, main)
    if as_json:
        print_json([{"outcome": one.outcome, "pipeline": one.pipeline.model_dump(mode="json")} for one in applied])
        return
    for one in applied:
        version = f", version {one.pipeline.active_version}" if one.pipeline.active_version else ""
        OUT.print(f"{one.pipeline.slug}: {one.outcome}{version}")


def read_document(file: Path) -> Any:
    """JSON is YAML too."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        return yaml.safe_load(text)
    except OSError as error:
        raise fail(f"{file} could not be read: {error.strerror}.", EXIT_USAGE) from error
    except UnicodeDecodeError as error:
        raise fail(f"{file} is not UTF-8 text.", EXIT_USAGE) from error
    except yaml.YAMLError as error:
        raise fail(f"{file} is neither YAML nor JSON: {error}", EXIT_USAGE) from error


@pipelines_app.command("list")
def list_pipelines(as_json: Json = False, data_dir: DataDir = None) -> None:
    """All pipelines, by slug."""

    async def main(client: PipewrightClient) -> PipelinePage:
        return await client.list_pipelines(limit=200)

    page = with_client(data_dir, main)
    if as_json:
        print_json(page)
        return
    table = Table("slug", "name", "status", "version", "nodes", box=None)
    for found in page.pipelines:
        table.add_row(
            found.slug, escape(found.name), found.status.value, str(found.active_version or ""), str(found.node_count)
        )
    OUT.print(table if page.pipelines else "no pipelines yet; make one with 'pipewright apply FILE'")


@pipelines_app.command()
def show(pipeline: str, as_json: Json = False, data_dir: DataDir = None) -> None:
    """A pipeline with its nodes and edges."""

    async def main(client: PipewrightClient) -> Pipeline:
        return await client.get_pipeline(pipeline)

    found = with_client(data_dir, main)
    if as_json:
        print_json(found)
        return
    OUT.print(f"[bold]{found.slug}[/] {escape(found.name)}: {found.status}, version {found.active_version or 'none'}")
    for node in found.nodes or []:
        targets = [
            f"{edge.target}{f' ({escape(edge.branch)})' if edge.branch else ''}"
            for edge in found.edges or []
            if edge.source == node.key
        ]
        OUT.print(f"  {node.key} [bright_black]{node.type}[/]" + (f" -> {', '.join(targets)}" if targets else ""))


@pipelines_app.command()
def delete(pipeline: str, data_dir: DataDir = None) -> None:
    """Delete a pipeline; runs that go on are not touched."""

    async def main(client: PipewrightClient) -> Pipeline:
        return await client.delete_pipeline(pipeline)

    OUT.print(f"{with_client(data_dir, main).slug}: deleted")


def types(as_json: Json = False, data_dir: DataDir = None) -> None:
    """The node types that workers announced."""

    async def main(client: PipewrightClient) -> list[NodeTypeView]:
        return await client.node_types()

    found = with_client(data_dir, main)
    if as_json:
        print_json([kind.model_dump(mode="json") for kind in found])
        return
    table = Table("type", "status", "slots", "workers", "description", box=None)
    for kind in found:
        online = state("completed").replace("completed", "online") if kind.is_online else "offline"
        table.add_row(kind.node_type, online, str(kind.slots), str(len(kind.workers)), escape(kind.description))
    OUT.print(table)
