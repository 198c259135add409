"""Renders templates that may cost too much in a child process, which the kernel ends after a second of its work."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import Process
from typing import Any

import orjson

from services.executors.kit.errors import TransientNodeError
from shared.templates.render import TemplateRenderError
from shared.templates.scope import Scope

#: The kernel ends a render after so much time on a processor, even inside C code. A machine that has none to give
#: would fail good templates by any other clock.
RENDER_LIMIT_S = 1.0
#: A child that has said nothing for so long is no fault of the template: it had no turn, or hangs.
ANSWER_LIMIT_S = 30.0
#: A child that had nothing to do for so long is ended.
IDLE_S = 60.0
#: Bytes before a message that say how long it is.
LENGTH = 4

TOO_EXPENSIVE = (
    "the template took more than a second or too much memory. Render less: shorter loops, no padding, no powers."
)


class RenderPool:
    """Children are started when first needed; renders wait for a free one."""

    def __init__(self, size: int = 2) -> None:
        self._free: asyncio.Queue[_Child] = asyncio.Queue()
        for _ in range(size):
            self._free.put_nowait(_Child())
        self._children = list(self._free._queue)  # type: ignore[attr-defined]  # all are free now

    async def render(self, config: dict[str, Any], config_schema: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """The rendered config; raises TemplateRenderError, or TransientNodeError when nothing came for very long."""
        request = {
            "config": config,
            "config_schema": config_schema,
            "inputs": scope.inputs.model_dump(mode="json"),
            "run_id": scope.run_id,
            "run_started_at": scope.run_started_at,
        }
        child = await self._free.get()
        try:
            answer = await child.ask(orjson.dumps(request))
        finally:
            self._free.put_nowait(child)
        if "error" in answer:
            raise TemplateRenderError(answer["error"], answer["code"])
        rendered: dict[str, Any] = answer["rendered"]
        return rendered

    async def close(self) -> None:
        for child in self._children:
            await child.end()


class _Child:
    """One process; started anew after it was ended."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._is_killed = False
        self._idle: asyncio.TimerHandle | None = None

    async def ask(self, request: bytes) -> dict[str, Any]:
        if self._idle is not None:
            self._idle.cancel()
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                process.stdin.write(len(request).to_bytes(LENGTH) + request)
                await process.stdin.drain()
                size = int.from_bytes(await process.stdout.readexactly(LENGTH))
                answer: dict[str, Any] = orjson.loads(await process.stdout.readexactly(size))
        except TimeoutError as error:
            await self.end()
            message = f"The template was not rendered within {ANSWER_LIMIT_S:g} s; the worker's machine is overloaded."
            raise TransientNodeError("render_timed_out", message) from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            await self.end()
            raise TemplateRenderError(TOO_EXPENSIVE, "template_too_expensive") from error
        except asyncio.CancelledError:
            # Its answer would be taken for the next one's.
            await self.end()
            raise
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._kill)
        return answer

    async def _running(self) -> Process:
        if self._process is not None and self._is_over(self._process):
            await self.end()
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-m",
                "services.executors.kit.child_main",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={},
                limit=2**24,
            )
        return self._process

    def _is_over(self, process: Process) -> bool:
        """Asked of the kernel, since asyncio learns of an end a little later; a render must not pay for that."""
        if self._is_killed or process.returncode is not None:
            return True
        try:
            return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._is_killed = True
            self._process.kill()

    async def end(self) -> None:
        self._kill()
        if self._process is not None:
            await self._process.wait()
            self._process, self._is_killed = None, False
