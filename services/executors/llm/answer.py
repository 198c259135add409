"""Collects a model's answer from its stream; only one that was ended by the model is an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from services.executors.kit.errors import PermanentNodeError, TransientNodeError


class Answer:
    """What came so far."""

    def __init__(self, emit_tokens: Callable[[str], None] | None = None) -> None:
        self._emit_tokens = emit_tokens
        self._parts: list[str] = []
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._model: str | None = None
        self.size = 0

    def read_line(self, line: bytes) -> None:
        """One line of a server-sent event stream."""
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data != b"[DONE]":
            self._read(_parse(data), "delta")

    def read_whole(self, body: bytes) -> None:
        """The answer of a provider that does not stream."""
        self._read(_parse(body), "message")

    def _read(self, chunk: dict[str, Any], field: str) -> None:
        if error := chunk.get("error"):
            message = error.get("message") if isinstance(error, dict) else error
            raise TransientNodeError("provider_failed", f"The provider broke off: {message}")
        self._model = chunk.get("model") or self._model
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"] or self._usage
        choices = chunk.get("choices") or []
        if not isinstance(choices, list):
            raise _no_answer()
        for choice in map(_object, choices[:1]):
            text = _object(choice.get(field)).get("content")
            if isinstance(text, str) and text:
                self._parts.append(text)
                self.size += len(text)
                if self._emit_tokens is not None:
                    self._emit_tokens(text)
            self._finish_reason = choice.get("finish_reason") or self._finish_reason

    def output(self, model: str) -> dict[str, Any]:
        """Raises TransientNodeError when the answer is only a part of one."""
        if self._finish_reason is None:
            raise TransientNodeError(
                "incomplete_answer", "The model's answer broke off before its end; no part of it is kept."
            )
        if self._finish_reason == "error":
            raise TransientNodeError("provider_failed", "The model ended its answer with an error.")
        text = "".join(self._parts)
        if not text and self._finish_reason == "content_filter":
            raise PermanentNodeError("content_filter", "The provider's filter held the answer back.")
        return {
            "text": text.replace("\x00", "\ufffd"),
            "model": self._model or model,
            "finish_reason": self._finish_reason,
            "usage": self._counted_usage(),
        }

    def _counted_usage(self) -> dict[str, Any]:
        """Tokens as the provider counts them, and the cost if it names one; None where it names no number."""
        usage = self._usage or {}
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        counted = {name: usage[name] if isinstance(usage.get(name), int) else None for name in names}
        prompt, completion = counted["prompt_tokens"], counted["completion_tokens"]
        if usage.get("total_tokens") is None and prompt is not None and completion is not None:
            counted["total_tokens"] = prompt + completion
        return counted | ({"cost": usage["cost"]} if isinstance(usage.get("cost"), int | float) else {})


def _parse(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise TransientNodeError("provider_failed", "The provider sent something that is not JSON.") from error
    return _object(found)


def _object(found: Any) -> dict[str, Any]:
    """An object, empty when there is null; raises TransientNodeError for anything else."""
    if found is not None and not isinstance(found, dict):
        raise _no_answer()
    return found or {}


def _no_answer() -> TransientNodeError:
    return TransientNodeError("provider_failed", "The provider sent JSON that is not an answer.")
