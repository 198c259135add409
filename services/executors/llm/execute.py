"""Asks a model by the chat completions protocol (platform.openai.com/docs/api-reference/chat), streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import orjson

from services.executors.kit.errors import NodeError, PermanentNodeError, TransientNodeError
from services.executors.kit.node_type import NodeContext
from services.executors.kit.outbound import OutboundClient, check_encoding, retry_after_s
from services.executors.llm.answer import Answer
from services.executors.llm.config import LlmConfig
from services.executors.llm.metrics import cost_usd, count_answer, count_refusal
from services.executors.llm.providers import Provider, Providers

#: No model's text is longer; more is a fault of the other side.
ANSWER_LIMIT = 8 * 1024 * 1024
#: A line of a stream, or an answer that is not streamed, may be longer than its text, but not by much.
BODY_LIMIT = 2 * ANSWER_LIMIT
SILENCE_S = 600.0
#: How much of a refusal's text is told.
TEXT_SHOWN = 500
MESSAGE_SHOWN = 1000


class Llm:
    """Executes llm nodes over one client."""

    def __init__(self, client: OutboundClient, providers: Providers, prices: Mapping[str, tuple[float, float]]) -> None:
        """`prices` are US dollars for a million tokens of prompt and of completion, by model."""
        self._client = client
        self._providers = providers
        self._prices = prices

    async def execute(self, config: LlmConfig, context: NodeContext) -> dict[str, Any]:
        provider = self._providers.find(config.provider)
        model = self._providers.model_of(provider, config.model)
        context.metadata |= {"provider": provider.name, "model": model}
        answer = Answer(context.emit_tokens)
        try:
            await self._ask(provider, request_body(config, model), answer)
            output = answer.output(model)
        except NodeError as error:
            count_refusal(model, error.code)
            error.message = provider.without_credentials(error.message)[:MESSAGE_SHOWN]
            error.args = (error.message,)
            raise
        cost = cost_usd(output["usage"], self._prices.get(model))
        count_answer(model, output["usage"], cost)
        context.metadata["usage"] = output["usage"]
        if cost is not None:
            context.metadata["cost_usd"] = cost
        return output

    async def _ask(self, provider: Provider, body: bytes, answer: Answer) -> None:
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        if provider.key is not None:
            headers["authorization"] = f"Bearer {provider.key.get_secret_value()}"

        async def read(response: httpx.Response) -> None:
            check_encoding(response)
            if response.status_code >= 300:
                raise refusal(response, provider, (await _whole(response)).decode(errors="replace"))
            await _read(response, answer)

        # The attempt's own timeout ends a stream that goes on for ever; this one ends silence.
        request = self._client.build_request(
            "POST", provider.completions_url, headers=headers, content=body, timeout_s=SILENCE_S
        )
        await self._client.exchange(request, read)


async def _read(response: httpx.Response, answer: Answer) -> None:
    if "text/event-stream" not in response.headers.get("content-type", ""):
        answer.read_whole(await _whole(response))
        return
    async for line in _lines(response):
        answer.read_line(line)
        if answer.size > ANSWER_LIMIT:
            raise _too_large()


async def _whole(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > BODY_LIMIT:
            raise _too_large()
    return bytes(body)


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Ended by line feeds alone: httpx would end them at characters that JSON may hold, such as U+2028."""
    waiting = bytearray()
    async for part in response.aiter_bytes():
        waiting += part
        if b"\n" in part:
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                yield bytes(line)
        if len(waiting) > BODY_LIMIT:
            raise _too_large()
    yield bytes(waiting)


def _too_large() -> PermanentNodeError:
    return PermanentNodeError("output_too_large", "The model sent more than 8 MiB of text.")


def request_body(config: LlmConfig, model: str) -> bytes:
    messages: list[dict[str, Any]] = []
    if config.system:
        messages.append({"role": "system", "content": config.system})
    content: Any = config.prompt
    if config.images:
        content = [{"type": "text", "text": config.prompt}]
        content += [{"type": "image_url", "image_url": {"url": image}} for image in config.images]
    messages.append({"role": "user", "content": content})
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if config.temperature is not None:
        body["temperature"] = config.temperature
    if config.max_tokens is not None:
        body["max_tokens"] = config.max_tokens
    return orjson.dumps(body)


def refusal(response: httpx.Response, provider: Provider, text: str) -> NodeError:
    """What the provider's status means, and what to do."""
    status = response.status_code
    said = provider.without_credentials(_message_of(text))[:TEXT_SHOWN]
    if status in (401, 403):
        hint = f" Check {provider.key_variable} on the llm worker." if provider.key_variable else ""
        return PermanentNodeError("provider_refused", f"Provider '{provider.name}' answered {status}: {said}.{hint}")
    if status == 402 or "insufficient_quota" in text:
        return PermanentNodeError("no_quota", f"Provider '{provider.name}' has no credit left for this key: {said}")
    if status in (408, 409, 425, 429) or status >= 500:
        return TransientNodeError(
            "provider_busy", f"Provider '{provider.name}' answered {status}: {said}", retry_after_s(response)
        )
    return PermanentNodeError("provider_refused", f"Provider '{provider.name}' answered {status}: {said}")


def _message_of(text: str) -> str:
    """The message of an error in OpenAI's form, else the text."""
    try:
        error = orjson.loads(text).get("error")
        return str(error.get("message") if isinstance(error, dict) else error)
    except (orjson.JSONDecodeError, AttributeError):
        return text.strip() or "nothing more"
