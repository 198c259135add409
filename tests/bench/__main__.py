"""`python -m tests.bench [W1 W3 ...]`: measures the floor and the workloads on a stack of its own."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from tests.bench import floor
from tests.bench.driver import Driver
from tests.bench.figures import Figure, Floor, as_lines, print_figures
from tests.bench.stubs import Stubs, stubs
from tests.bench.workloads import WORKLOADS, Bench, Workload, idle, idle_again
from tests.stack import Stack

CONSOLE = Console(width=220 if not sys.stdout.isatty() else None)
PROGRESS = Console(stderr=True)


def bench(
    workloads: Annotated[list[str] | None, typer.Argument(help="Which; all without it")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the JSON lines here, not to the end")] = None,
) -> None:
    """Measure the floor and the workloads; absolute targets are stretched where the echo is slower."""
    asked = {name.upper() for name in workloads or WORKLOADS}
    if unknown := asked - WORKLOADS.keys():
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: known are {', '.join(sorted(WORKLOADS))}")
    chosen = [workload for name, workload in WORKLOADS.items() if name in asked]
    if idle in chosen[:-1]:
        chosen.append(idle_again)
    with tempfile.TemporaryDirectory(prefix="pipewright-bench-") as folder, stubs() as servers:
        environment = {
            "PIPEWRIGHT_ALLOW_ADDRESSES": f"127.0.0.1:{servers.port}",
            "PIPEWRIGHT_LLM_URLS": f"bench={servers.url}/v1",
        }
        with Stack(Path(folder), environment) as stack:
            figures = uvloop.run(_measure(stack, servers, chosen))
    print_figures(CONSOLE, figures)
    lines = as_lines(figures)
    if json_file is None:
        sys.stdout.write("\n" + lines)
    else:
        json_file.write_text(lines)


async def _measure(stack: Stack, servers: Stubs, chosen: list[Workload]) -> list[Figure]:
    """Each workload between two floors, whose mean counts, since what a machine gives changes within seconds; the stack
    that is idle after the load has no targets."""
    status = stack.status()
    PROGRESS.print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    async with Driver.connect(status["nats"]) as driver:
        before = await _floor(status)
        figures = before.figures()
        for workload in chosen:
            PROGRESS.print(f"measuring {workload.__doc__}")
            measured = await workload(Bench(stack, driver, servers))
            after = await _floor(status) if workload is not idle_again else before
            figures += [figure.on(before.mean(after)) for figure in measured]
            if after is not before:
                figures += after.figures()
            before = after
    return figures


async def _floor(status: dict[str, Any]) -> Floor:
    """In a thread of its own, as its loops are."""
    PROGRESS.print("measuring the floor ...")
    return await asyncio.to_thread(floor.measure, status["nats"], status["postgres"])


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(bench)
    app()
