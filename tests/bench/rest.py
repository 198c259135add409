"""A caller of the REST gateway with one kept connection, as little as can be: what is measured is the other side."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from tests.stack import API_KEY


class Caller:
    """HTTP/1.1 over one connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Caller:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def publish(self, document: dict[str, Any]) -> None:
        """Make the pipeline and publish it; raises RuntimeError when it is refused."""
        await self._send("/pipelines", document, 201)
        await self._send(f"/pipelines/{document['slug']}/publish", {}, 200)

    async def execute(self, slug: str, run_input: dict[str, Any], wait_s: int = 30) -> None:
        """Run to the end; raises RuntimeError when it did not complete."""
        answer = await self._send(f"/pipelines/{slug}/execute?wait={wait_s}", {"input": run_input}, 200)
        if orjson.loads(answer)["status"] != "completed":
            raise RuntimeError(f"{slug}: {answer[:500]!r}")

    async def _send(self, path: str, value: Any, expected: int) -> bytes:
        body = orjson.dumps(value)
        head = (
            f"POST /api/v3{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {API_KEY}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        status, answer = await self._answer()
        if status != expected:
            raise RuntimeError(f"{path}: {status}: {answer[:500]!r}")
        return answer

    async def _answer(self) -> tuple[int, bytes]:
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        return int(lines[0].split()[1]), await self._reader.readexactly(length)
