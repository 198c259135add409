"""How commands speak: for people by default, as JSON for programs; errors in a line or two, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.contracts.states import NodeStatus, RunStatus
from shared.errors import ServiceError

#: Where nobody looks at a terminal, nothing is cut to its width.
WIDE = 200


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=None if stream.isatty() else WIDE)


OUT = _console(stderr=False)
ERR = _console(stderr=True)

#: Exit codes: the outcome of a run, a refusal, a wrong command line, nobody there.
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CANCELLED = 3
EXIT_REFUSED = 4
EXIT_UNAVAILABLE = 5
#: As shells say it of a command that Ctrl-C ended.
EXIT_INTERRUPTED = 130

COLOURS = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "skipped": "bright_black",
    "running": "cyan",
    "pending": "white",
}

#: Characters of a UUID.
ID_WIDTH = 36

Value = TypeVar("Value")


def print_json(value: Any, *, is_line: bool = False) -> None:
    """For people to read, too; as one line where more follow."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    option = orjson.OPT_APPEND_NEWLINE | (0 if is_line else orjson.OPT_INDENT_2)
    sys.stdout.buffer.write(orjson.dumps(value, option=option))
    sys.stdout.flush()


def make_table(*columns: str) -> Table:
    """A table for people; ids are told whole, whatever the width."""
    table = Table(box=None, pad_edge=False)
    for name in columns:
        is_id = name == "id"
        table.add_column(name, no_wrap=is_id, min_width=ID_WIDTH if is_id else None, overflow="fold")
    return table


def counted(count: int, what: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def moment(time: datetime | None) -> str:
    """In UTC: the time of today, the day of any other."""
    if time is None:
        return ""
    at = time.astimezone(UTC)
    return at.strftime("%H:%M:%S" if at.date() == datetime.now(UTC).date() else "%Y-%m-%d")


def state(status: RunStatus | NodeStatus | str) -> str:
    """A state in its colour."""
    return f"[{COLOURS.get(str(status), 'white')}]{status}[/]"


def fail(message: str, code: int = EXIT_FAILED) -> SystemExit:
    """Says what went wrong; to be raised."""
    ERR.print(f"[red]error:[/] {escape(message)}")
    return SystemExit(code)


def told(main: Coroutine[Any, Any, Value], run: Callable[[Coroutine[Any, Any, Value]], Value]) -> Value:
    """Run it; a refusal becomes its words and an exit code."""
    try:
        return run(main)
    except ServiceError as error:
        raise refused(error) from error
    except KeyboardInterrupt as error:
        raise SystemExit(EXIT_INTERRUPTED) from error


def refused(error: ServiceError) -> SystemExit:
    problem = error.problem
    ERR.print("[red]error:[/] ", end="")
    ERR.print(problem.detail, markup=False)
    for finding in problem.errors[1:]:
        ERR.print(f"  {finding.pointer}: {finding.detail}", markup=False)
    return SystemExit(EXIT_UNAVAILABLE if problem.status == 503 else EXIT_REFUSED)
