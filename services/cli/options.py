"""Options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="For programs")]
Replicas = Annotated[
    int, typer.Option(min=1, max=5, envvar="PIPEWRIGHT_NATS_REPLICAS", help="Servers of NATS that hold each stream")
]
DataDir = Annotated[Path | None, typer.Option(help="Where the stack of 'up' keeps its data [default: .pipewright]")]
