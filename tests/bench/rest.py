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

    async def execute(self, slug: str, run_input: dict[str, Any]) -> None:
        """Run to the end; raises RuntimeError when it did not complete."""
        body = orjson.dumps({"input": run_input})
        head = (
            f"POST /api/v3/pipelines/{slug}/execute?wait=30 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {API_KEY}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        status, answer = await self._answer()
        if status != 200 or orjson.loads(answer)["status"] != "completed":
            raise RuntimeError(f"{status}: {answer[:500]!r}")

    async def _answer(self) -> tuple[int, bytes]:
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        return int(lines[0].split()[1]), await self._reader.readexactly(length)
