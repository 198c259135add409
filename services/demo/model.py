"""A demo model: speaks the chat completions protocol, streamed or whole, and says that it is no real model."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from services.demo.server import serve_app

MODEL = "demo"
#: Milliseconds before an answer begins; for trying out slow models.
DELAY_VARIABLE = "PIPEWRIGHT_DEMO_DELAY_MS"
WORDS_SHOWN = 12


async def complete(request: Request) -> Response:
    try:
        body = orjson.loads(await request.body())
        prompt, images = _read(body["messages"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        error = {"error": {"message": "The body needs 'model' and 'messages'.", "type": "invalid_request_error"}}
        return JSONResponse(error, status_code=400)
    await asyncio.sleep(float(os.environ.get(DELAY_VARIABLE, "0")) / 1000)
    text = answer(prompt, images)
    limit = body.get("max_tokens")
    words = text.split(" ")
    is_cut = isinstance(limit, int) and len(words) > limit
    words = words[:limit] if is_cut else words
    reason = "length" if is_cut else "stop"
    usage = _usage(prompt, len(words), len(images))
    if body.get("stream"):
        return StreamingResponse(_stream(words, reason, usage), media_type="text/event-stream")
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": " ".join(words)},
        "finish_reason": reason,
    }
    return JSONResponse(_envelope("chat.completion") | {"choices": [choice], "usage": usage})


def answer(prompt: str, images: list[str]) -> str:
    """The same prompt gives the same answer."""
    words = prompt.split()
    about = " ".join(words[:WORDS_SHOWN]) + (" ..." if len(words) > WORDS_SHOWN else "")
    seen = f" I was shown {len(images)} image{'s' if len(images) > 1 else ''}." if images else ""
    return f"[demo model, not a real one] You asked: {about}{seen}"


def _read(messages: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """The text of the last message, and its images."""
    content = messages[-1]["content"]
    if isinstance(content, str):
        return content, []
    text = " ".join(part["text"] for part in content if part["type"] == "text")
    return text, [part["image_url"]["url"] for part in content if part["type"] == "image_url"]


def _usage(prompt: str, count: int, images: int) -> dict[str, int]:
    asked = len(prompt.split()) + 85 * images
    return {"prompt_tokens": asked, "completion_tokens": count, "total_tokens": asked + count}


def _envelope(kind: str) -> dict[str, Any]:
    return {"id": f"demo-{time.time_ns()}", "object": kind, "created": int(time.time()), "model": MODEL}


async def _stream(words: list[str], reason: str, usage: dict[str, int]) -> AsyncIterator[bytes]:
    envelope = _envelope("chat.completion.chunk")
    chunks: list[dict[str, Any]] = []
    for index, word in enumerate(words):
        delta = {"content": word if index == 0 else f" {word}"}
        chunks.append({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    chunks.append({"choices": [], "usage": usage})
    yield b"".join(b"data: " + orjson.dumps(envelope | chunk) + b"\n\n" for chunk in chunks)
    yield b"data: [DONE]\n\n"


async def models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "pipewright"}]})


APP = Starlette(
    routes=[
        Route("/v1/chat/completions", complete, methods=["POST"]),
        Route("/v1/models", models, methods=["GET"]),
    ]
)


async def serve(port: int, on_ready: Callable[[], None]) -> None:
    await serve_app(APP, port, on_ready)
