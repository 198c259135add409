"""Writes every setting down in one table, from the settings classes of the services."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from services.cli.services import SERVICES, settings_of
from shared.settings import CommonSettings, variable_of

INTRODUCTION = """\
# Settings

Every service is told everything by its environment, which it reads once, at start. A wrong value ends the start with
status 2 and one line that names the variable, what is wrong and an example; an empty variable is as none. What
`PIPEWRIGHT_PROFILE=production` refuses is told in [operations.md](operations.md#production-profile).

This table is made from the settings classes (`shared/settings.py`, `services/*/settings.py`) by
`python -m services.cli.contracts docs`; a test compares it.
"""

#: Variables that no service reads, but the command line: variable, of, type, default, what it does, example.
COMMAND_LINE = (
    ("PIPEWRIGHT_URL", "text", "none", "A gateway to talk to by REST; else over NATS", "https://pipewright.example.com"),
    ("PIPEWRIGHT_API_KEY", "secret", "none", "The key for that gateway; with `up`, the first admin key", "pw_..."),
    ("PIPEWRIGHT_DATA_DIR", "text", ".pipewright", "Where the stack of `up` keeps its data", "/var/lib/pipewright"),
    ("PIPEWRIGHT_HOST", "text", "127.0.0.1", "`up`: address of the gateway", "0.0.0.0"),  # noqa: S104  # an example
    ("PIPEWRIGHT_PORT", "whole number", "8080", "`up`: port of the gateway", "8080"),
    ("PIPEWRIGHT_NATS_URL", "text", "that of `up`", "All that talk to NATS", "nats://user:password@nats:4222"),
    (
        "PIPEWRIGHT_DATABASE_URL", "text", "that of `up`", "`migrate`, `doctor`, `keys`: with the migrations' role",
        "postgresql://user:password@postgres:5432/pipewright",
    ),
    ("PIPEWRIGHT_NATS_REPLICAS", "whole number, 1 to 5", "1", "`topology`: servers that hold each stream", "3"),
    (
        "PIPEWRIGHT_NATS_MONITORING_URL", "text", "none",
        "`topology`, `doctor`: monitoring port of NATS, to see whether JetStream syncs every write",
        "http://nats:8222",
    ),
    ("PIPEWRIGHT_DEMO_DELAY_MS", "number", "0", "`up`: the demo model waits so long before it answers", "500"),
)  # fmt: skip

HEADER = "| variable | of | type | default | what it does | example |\n|---|---|---|---|---|---|\n"


def settings_document() -> str:
    """The whole file, as Markdown."""
    services = HEADER + "".join(_services_rows())
    commands = HEADER + "".join(
        _row(variable, "command line", kind, default, text, example)
        for variable, kind, default, text, example in COMMAND_LINE
    )
    return f"{INTRODUCTION}\n## Services\n\n{services}\n## Command line\n\n{commands}"


def kinds() -> dict[str, type[CommonSettings]]:
    """Service -> what it is told."""
    return {service: settings_of("executors" if service == "worker" else service) for service in SERVICES}


def _services_rows() -> Iterator[str]:
    fields: dict[str, tuple[type[CommonSettings], FieldInfo, list[str]]] = {}
    for service, kind in kinds().items():
        for name, info in kind.model_fields.items():
            fields.setdefault(name, (kind, info, []))[2].append(service)
    # What all are told comes first.
    for name, (kind, info, services) in sorted(fields.items(), key=lambda item: -len(item[1][2])):
        told = "all" if len(services) == len(SERVICES) else ", ".join(services)
        example = str(info.examples[0]) if info.examples else ""
        yield _row(variable_of(kind, name), told, _type(info), _default(info), info.description or "", example)


def _row(variable: str, services: str, kind: str, default: str, text: str, example: str) -> str:
    return f"| `{variable}` | {services} | {kind} | {default} | {text} | `{example}` |\n"


def _type(info: FieldInfo) -> str:
    annotation: Any = info.annotation
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    names = {
        bool: "`true` or `false`",
        int: "whole number",
        float: "number",
        SecretStr: "secret",
        str: "text",
        dict: "list of name=value",
        tuple: "list",
    }
    return names[get_origin(annotation) or annotation] + _bounds(info)


def _bounds(info: FieldInfo) -> str:
    found = {
        name: getattr(item, name)
        for item in info.metadata
        for name in ("ge", "gt", "le", "min_length")
        if hasattr(item, name)
    }
    least = f"{found['ge']:g}" if "ge" in found else f"more than {found['gt']:g}" if "gt" in found else ""
    if "min_length" in found:
        return f", {found['min_length']} characters or more"
    if "le" in found:
        return f", {least}{', at most' if 'gt' in found else ' to'} {found['le']:,}"
    return f", {least} or more" if least else ""


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "must be set"
    if info.default_factory is not None and info.default_factory is not dict:
        return "host name and process id"
    if info.default in (None, ()) or info.default_factory is dict:
        return "none"
    if isinstance(info.default, bool):
        return f"`{str(info.default).lower()}`"
    return f"`{info.default:g}`" if isinstance(info.default, float) else f"`{info.default}`"
