"""`apply`, `pipelines` and `types`: what can be run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from services.cli.address import with_client
from services.cli.options import DataDir, Json
from services.cli.output import EXIT_FAILED, EXIT_USAGE, OUT, fail, make_table, print_json, state
from shared.documents import DocumentError, parse, to_yaml

if TYPE_CHECKING:
    from shared.client import PipewrightClient
    from shared.contracts.edits import Findings
    from shared.contracts.pipelines import Applied, NodeTypeView, Pipeline, PipelineDocument, PipelinePage
    from shared.contracts.versions import PipelineVersion, VersionPage

#: Read at once, of lists that are shown whole.
PAGE = 200

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
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        return parse(text)
    except OSError as error:
        raise fail(f"{file} could not be read: {error.strerror}.", EXIT_USAGE) from error
    except UnicodeDecodeError as error:
        raise fail(f"{file} is not UTF-8 text.", EXIT_USAGE) from error
    except DocumentError as error:
        raise fail(f"{file} is neither YAML nor JSON: {error}", EXIT_USAGE) from error


@pipelines_app.command("list")
def list_pipelines(as_json: Json = False, data_dir: DataDir = None) -> None:
    """All pipelines, by slug."""
    from shared.contracts.pipelines import PipelinePage

    async def main(client: PipewrightClient) -> PipelinePage:
        found: list[Pipeline] = []
        after: str | None = None
        while True:
            page = await client.list_pipelines(limit=PAGE, after=after)
            found += page.pipelines
            if (after := page.next_after) is None:
                return PipelinePage(pipelines=found)

    page = with_client(data_dir, main)
    if as_json:
        print_json(page)
        return
    table = make_table("slug", "name", "status", "version", "nodes")
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
def export(pipeline: str, as_json: Json = False, data_dir: DataDir = None) -> None:
    """The draft as the file that 'apply' takes."""
    from shared.contracts.pipelines import written

    async def main(client: PipewrightClient) -> PipelineDocument:
        return await client.export(pipeline)

    document = written(with_client(data_dir, main).model_dump(mode="json"))
    if as_json:
        print_json(document)
    else:
        sys.stdout.write(to_yaml(document))


@pipelines_app.command()
def validate(file: Path, as_json: Json = False, data_dir: DataDir = None) -> None:
    """Everything that is wrong with a file, each with its place; nothing is saved. Exit code 1 when anything is."""
    document = read_document(file)

    async def main(client: PipewrightClient) -> Findings:
        return await client.validate(document)

    found = with_client(data_dir, main)
    if as_json:
        print_json(found)
    for error in [] if as_json else found.errors:
        OUT.print(f"{error.pointer or '/'}: {error.detail}", markup=False)
    if not found.is_valid:
        raise SystemExit(EXIT_FAILED)
    if not as_json:
        OUT.print("nothing is wrong")


@pipelines_app.command()
def versions(pipeline: str, as_json: Json = False, data_dir: DataDir = None) -> None:
    """What was published, newest first."""
    from shared.contracts.versions import VersionPage

    async def main(client: PipewrightClient) -> VersionPage:
        found: list[PipelineVersion] = []
        after: int | None = None
        while True:
            page = await client.list_versions(pipeline, limit=PAGE, after=after)
            found += page.versions
            if (after := page.next_after) is None:
                return VersionPage(versions=found)

    page = with_client(data_dir, main)
    if as_json:
        print_json(page)
        return
    table = make_table("version", "published", "nodes", "")
    for found in page.versions:
        published = found.published_at.strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(str(found.number), published, str(found.node_count), "active" if found.is_active else "")
    OUT.print(table if page.versions else "nothing was published yet")


@pipelines_app.command()
def delete(pipeline: str, data_dir: DataDir = None) -> None:
    """Delete a pipeline; runs that go on are not touched."""

    async def main(client: PipewrightClient) -> None:
        await client.delete_pipeline(pipeline)

    with_client(data_dir, main)
    OUT.print(f"{pipeline}: deleted", markup=False)


def types(as_json: Json = False, data_dir: DataDir = None) -> None:
    """The node types that workers announced."""

    async def main(client: PipewrightClient) -> list[NodeTypeView]:
        return await client.node_types()

    found = with_client(data_dir, main)
    if as_json:
        print_json([kind.model_dump(mode="json") for kind in found])
        return
    table = make_table("type", "status", "slots", "workers", "description")
    for kind in found:
        online = state("completed").replace("completed", "online") if kind.is_online else "offline"
        table.add_row(kind.node_type, online, str(kind.slots), str(len(kind.workers)), escape(kind.description))
    OUT.print(table)
