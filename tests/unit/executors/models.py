"""A provider on loopback, and what llm nodes ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from services.executors.kit.errors import NodeError
from services.executors.llm.config import LlmConfig
from services.executors.llm.node import make
from tests.http_server import Answer, Server, serving, text
from tests.unit.executors.asking import context, settings

KEY = "sk-s3cret-key-of-the-worker"


class Model:
    """An llm node type whose default provider is this server."""

    def __init__(self, server: Server, **variables: str) -> None:
        self.server = server
        self.tokens: list[str] = []
        self.metadata: dict[str, Any] = {}
        urls = {"PIPEWRIGHT_LLM_URLS": f"openai={server.url}/v1/", "PIPEWRIGHT_LLM_PROVIDER": "openai"}
        self.node_type = make(settings(**(urls | {"OPENAI_API_KEY": KEY} | variables)))

    def begin(self) -> None:
        """As if nothing had been asked or said."""
        self.tokens.clear()
        self.server.requests.clear()
        self.server.answers = [streamed("Hello")]
        self.server.was_left = asyncio.Event()

    async def answer(self, prompt: str = "Hi", **config: Any) -> dict[str, Any]:
        about = context()
        about.emit_tokens = self.tokens.append
        try:
            return await self.node_type.execute(LlmConfig(prompt=prompt, **config), about)
        finally:
            self.metadata = about.metadata

    async def failure(self, **config: Any) -> NodeError:
        """No failure tells the key, wherever it was said."""
        with pytest.raises(NodeError) as failed:
            await self.answer(**config)
        assert KEY[:12] not in failed.value.message + str(failed.value) + repr(failed.value)
        return failed.value

    @property
    def asked(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.server.last.body)
        return found


@asynccontextmanager
async def model(**variables: str) -> AsyncIterator[Model]:
    async with serving() as server:
        made = Model(server, **variables)
        made.begin()
        try:
            yield made
        finally:
            await made.node_type.close()


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"model": "m-1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}], **more}


def events(*chunks: Any, end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: " + orjson.dumps(found) + b"\n\n" for found in chunks) + end


def stream(*parts: bytes) -> Answer:
    return Answer(200, [("content-type", "text/event-stream; charset=utf-8")], list(parts))


def streamed(*texts: str, usage: dict[str, Any] | None = None) -> Answer:
    """A whole stream, its last chunk with the usage."""
    return stream(events(*map(chunk, texts), chunk(finish="stop"), {"choices": [], "usage": usage}))


def refused(status: int, message: str = "no", **headers: str) -> Answer:
    return text(orjson.dumps({"error": {"message": message}}), status, content_type="application/json", **headers)
