"""Options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="For programs")]
DataDir = Annotated[Path | None, typer.Option(help="Where the stack of 'up' keeps its data [default: .pipewright]")]
