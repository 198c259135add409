"""The child that renders: no secrets, no sockets, little memory, and a second of work for each template."""

from __future__ import annotations

import resource
import signal
import sys
from datetime import datetime
from typing import Any, BinaryIO

import orjson

from services.executors.kit.child import LENGTH, RENDER_LIMIT_S, TOO_EXPENSIVE
from shared.contracts.nodes import NodeInputs
from shared.templates.config import compile_config
from shared.templates.render import TemplateRenderError
from shared.templates.scope import Scope

MEMORY_LIMIT = 512 * 1024 * 1024
OPEN_FILES_LIMIT = 16


def limit() -> None:
    """From here on the kernel refuses memory, files and core dumps, and ends the process when its timer fires."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES_LIMIT, OPEN_FILES_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)


def main() -> None:
    limit()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while (head := source.read(LENGTH)) and len(head) == LENGTH:
        request = orjson.loads(source.read(int.from_bytes(head)))
        signal.setitimer(signal.ITIMER_PROF, RENDER_LIMIT_S)
        answer = encode(render(request))
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(target, answer)


def _write(target: BinaryIO, answer: bytes) -> None:
    target.write(len(answer).to_bytes(LENGTH) + answer)
    target.flush()


def render(request: dict[str, Any]) -> dict[str, Any]:
    """`{"rendered": ...}` or `{"error": words, "code": code}`."""
    try:
        scope = Scope(
            NodeInputs.model_validate(request["inputs"]),
            request["run_id"],
            datetime.fromisoformat(request["run_started_at"]),
        )
        config = compile_config(request["config"], request["config_schema"])
        return {"rendered": config.render(scope)}
    except TemplateRenderError as error:
        return {"error": str(error), "code": error.code}
    except (MemoryError, OverflowError):
        return {"error": TOO_EXPENSIVE, "code": "template_too_expensive"}


def encode(answer: dict[str, Any]) -> bytes:
    """As JSON; what JSON does not know is a fault of the template, and no reason to die."""
    try:
        return orjson.dumps(answer)
    except TypeError as error:
        return orjson.dumps({"error": f"The template gives no JSON: {error}.", "code": "unstorable_output"})


if __name__ == "__main__":
    main()
