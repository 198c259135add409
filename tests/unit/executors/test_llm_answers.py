"""llm: what a model's answer gives, which failures may pass, and that the key never comes out."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import orjson
import pytest

from services.executors.kit.errors import PermanentNodeError, TransientNodeError
from services.executors.llm.execute import ANSWER_LIMIT
from services.executors.llm.providers import Providers
from tests.eventually import eventually
from tests.http_server import Answer, json, text
from tests.unit.executors.asking import settings
from tests.unit.executors.models import KEY, Model, chunk, events, refused, stream, streamed

USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def whole(content: Any, finish: str | None = "stop", **more: Any) -> Answer:
    """The answer of a provider that does not stream."""
    return json({"model": "m-1", "choices": [{"message": {"content": content}, "finish_reason": finish}], **more})


async def test_a_stream_is_collected_and_its_pieces_are_passed_on(llm: Model):
    llm.server.answers = [streamed("Hel", "lo", " Ada", usage=USAGE)]
    assert await llm.answer() == {"text": "Hello Ada", "model": "m-1", "finish_reason": "stop", "usage": USAGE}
    assert llm.tokens == ["Hel", "lo", " Ada"]
    assert llm.metadata["usage"] == USAGE


async def test_a_piece_is_passed_on_before_the_stream_ends(llm: Model):
    """The server goes on only when the first piece was seen."""
    gate = asyncio.Event()
    llm.server.answers = [stream(events(chunk("one"), end=b""), events(chunk(" two", "stop")))]
    llm.server.answers[0].waits_for, llm.server.answers[0].waits_after = gate, 1
    asking = asyncio.create_task(llm.answer())
    await eventually(lambda: llm.tokens == ["one"])
    gate.set()
    assert (await asking)["text"] == "one two"


async def test_an_answer_that_is_not_streamed_gives_the_same(llm: Model):
    llm.server.answers = [whole("Hello", usage=USAGE)]
    assert await llm.answer() == {"text": "Hello", "model": "m-1", "finish_reason": "stop", "usage": USAGE}
    assert llm.tokens == ["Hello"]


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_a_stream_is_read_however_it_is_cut(llm: Model, size: int):
    said = "Grüße \u2028 \u0085 \x0b \x1c 😀\nsecond line"
    body = events(chunk(said), chunk(finish="stop")).replace(b"\n\n", b"\r\n\r\n")
    assert "\u2028".encode() in body
    llm.server.answers = [stream(*(body[at : at + size] for at in range(0, len(body), size)))]
    assert (await llm.answer())["text"] == said


async def test_comments_and_other_fields_of_a_stream_are_passed_over(llm: Model):
    body = b": keep-alive\n\nevent: message\nid: 7\nretry: 1\n" + events(chunk("Hi", "stop"), end=b"data:[DONE]")
    llm.server.answers = [stream(body)]
    assert (await llm.answer())["text"] == "Hi"


@pytest.mark.parametrize(
    ("usage", "given"),
    [
        (None, {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}),
        ({"prompt_tokens": 1, "completion_tokens": 2}, {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
        ({"total_tokens": 5}, {"prompt_tokens": None, "completion_tokens": None, "total_tokens": 5}),
        (USAGE | {"cost": 0.01, "more": {}}, USAGE | {"cost": 0.01}),
        ("many", {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}),
        (
            {"prompt_tokens": "1", "completion_tokens": "2"},
            {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
        ),
        (USAGE | {"cost": "a\x00b"}, USAGE),
        (USAGE | {"total_tokens": {}}, USAGE | {"total_tokens": None}),
        ({"prompt_tokens": 0, "completion_tokens": 2}, {"prompt_tokens": 0, "completion_tokens": 2, "total_tokens": 2}),
    ],
    ids=str,
)
async def test_usage_is_what_the_provider_counted(llm: Model, usage: Any, given: dict[str, Any]):
    llm.server.answers = [whole("Hi", usage=usage)]
    assert (await llm.answer())["usage"] == given


@pytest.mark.parametrize("finish", ["stop", "length", "tool_calls"])
async def test_why_the_model_stopped_is_told(llm: Model, finish: str):
    llm.server.answers = [whole("Hi", finish)]
    assert (await llm.answer())["finish_reason"] == finish


async def test_a_zero_character_is_replaced(llm: Model):
    llm.server.answers = [whole("a\x00b")]
    assert (await llm.answer())["text"] == "a\ufffdb"


async def test_what_a_filter_held_back_is_permanent(llm: Model):
    llm.server.answers = [whole("", "content_filter")]
    failed = await llm.failure()
    assert (type(failed), failed.code) == (PermanentNodeError, "content_filter")


@pytest.mark.parametrize(
    "answer",
    [
        stream(events(chunk("half"), end=b"")),
        stream(events(chunk("half"))),
        stream(b"data: [DONE]\n\n"),
        stream(b""),
        whole("half", None),
        json({}),
        json({"choices": []}),
        json(None),
    ],
    ids=[
        "broken off",
        "without a reason",
        "only its end",
        "nothing",
        "whole without reason",
        "{}",
        "no choice",
        "null",
    ],
)
async def test_an_answer_without_its_end_is_no_answer(llm: Model, answer: Answer):
    llm.server.answers = [answer]
    failed = await llm.failure()
    assert (type(failed), failed.code) == (TransientNodeError, "incomplete_answer")


@pytest.mark.parametrize(
    "answer",
    [
        stream(b"data: {broken\n\n"),
        stream(events("text")),
        stream(events([1])),
        stream(events({"choices": "text"})),
        stream(events({"choices": {"0": {}}})),
        stream(events({"choices": ["text"]})),
        stream(events({"choices": [{"delta": "text"}]})),
        text("<html>Sign in</html>", content_type="text/html"),
        text(""),
        json([1]),
        json("text"),
        json({"choices": [{"message": ["text"]}]}),
        json({"error": {"message": "overloaded"}}),
        json({"error": "overloaded"}),
        stream(events(chunk("half"), {"error": {"message": "overloaded", "code": 502}})),
        stream(events(chunk("half", "error"))),
    ],
    ids=lambda answer: answer.body[0].decode(errors="replace")[:40] or "empty",
)
async def test_an_answer_that_is_none_may_be_tried_again(llm: Model, answer: Answer):
    llm.server.answers = [answer]
    failed = await llm.failure()
    assert (type(failed), failed.code) == (TransientNodeError, "provider_failed")


@pytest.mark.parametrize("message", [{"content": None}, {"content": [{"type": "text"}]}, {}, None], ids=str)
async def test_an_answer_may_be_without_text(llm: Model, message: Any):
    llm.server.answers = [json({"choices": [{"message": message, "finish_reason": "tool_calls"}]})]
    assert (await llm.answer())["text"] == ""


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_is_permanent_and_names_the_variable(llm: Model, status: int):
    llm.server.answers = [refused(status, f"Incorrect API key provided: {KEY}.")]
    failed = await llm.failure()
    assert (type(failed), failed.code) == (PermanentNodeError, "provider_refused")
    assert failed.message == (
        f"Provider 'openai' answered {status}: Incorrect API key provided: ***.. "
        "Check OPENAI_API_KEY on the llm worker."
    )


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
async def test_a_busy_provider_may_be_asked_again(llm: Model, status: int):
    llm.server.answers = [refused(status, "slow down", retry_after="20")]
    failed = await llm.failure()
    assert isinstance(failed, TransientNodeError)
    assert (failed.code, failed.retry_after_s) == ("provider_busy", 20.0)
    assert failed.message == f"Provider 'openai' answered {status}: slow down"


@pytest.mark.parametrize(
    "answer",
    [refused(402, "pay"), text('{"error": {"message": "x", "code": "insufficient_quota"}}', 429)],
    ids=["402", "insufficient_quota"],
)
async def test_a_key_without_credit_is_permanent(llm: Model, answer: Answer):
    llm.server.answers = [answer]
    failed = await llm.failure()
    assert (type(failed), failed.code) == (PermanentNodeError, "no_quota")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refused(400, "no such model"), "no such model"),
        (text("plain words", 404), "plain words"),
        (text("", 422), "nothing more"),
        (text('{"error": "just text"}', 400), "just text"),
        (text("[1]", 400), "[1]"),
        (text("", 302, location="https://elsewhere/"), "nothing more"),
    ],
    ids=str,
)
async def test_any_other_refusal_is_permanent_with_the_providers_words(llm: Model, answer: Answer, said: str):
    llm.server.answers = [answer]
    failed = await llm.failure()
    assert (type(failed), failed.code) == (PermanentNodeError, "provider_refused")
    assert failed.message == f"Provider 'openai' answered {answer.status}: {said}"
    assert len(llm.server.requests) == 1


@pytest.mark.parametrize("before", [0, 480, 495, 499, 900, 950])
@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_a_key_that_a_provider_quotes_is_blotted_out_wherever_it_stands(llm: Model, status: int, before: int):
    said = "x" * before + KEY + "y" * 900
    for answer in (refused(status, said), text(said, status), stream(events({"error": {"message": said}}))):
        llm.server.answers = [answer]
        assert "xx" in (await llm.failure()).message or before == 0


@pytest.mark.parametrize("quoted", ["s3cret-7", "ada:s3cret-7", "YWRhOnMzY3JldC03"])
def test_credentials_in_the_url_of_a_provider_are_blotted_out(quoted: str):
    urls = {"PIPEWRIGHT_LLM_URLS": "mine=http://ada:s3cret-7@127.0.0.1:1/v1"}
    provider = Providers(settings(**urls)).find("mine")
    assert quoted not in provider.without_credentials(f"I know {quoted} well")


@pytest.mark.parametrize("answer", [Answer(raw=b""), Answer(raw=b"garbage\r\n\r\n")], ids=["nothing", "garbage"])
async def test_an_exchange_that_breaks_off_may_be_tried_again(llm: Model, answer: Answer):
    llm.server.answers = [answer]
    failed = await llm.failure()
    assert (type(failed), failed.code) == (TransientNodeError, "connection_failed")


@pytest.mark.parametrize(
    "answer",
    [
        stream(*[events(chunk("x" * 2**20), end=b"")] * 20),
        stream(*[b"data: " + b"x" * 2**20] * 30),
        Answer(200, [("content-type", "application/json")], [b"x" * 2**20] * 30),
        Answer(500, [], [b"x" * 2**20] * 30),
    ],
    ids=["text", "one line", "not streamed", "a refusal"],
)
async def test_an_answer_without_end_is_ended(llm: Model, answer: Answer):
    llm.server.answers = [answer]
    failed = await llm.failure()
    assert (type(failed), failed.code) == (PermanentNodeError, "output_too_large")
    assert sum(map(len, llm.tokens)) <= ANSWER_LIMIT + 2**20
    await asyncio.wait_for(llm.server.was_left.wait(), 30)


async def test_layers_of_packing_are_refused_unread(llm: Model):
    packed = gzip.compress(gzip.compress(orjson.dumps({"choices": []})))
    llm.server.answers = [text(packed, content_encoding="gzip, gzip")]
    assert (await llm.failure()).code == "encoding_refused"
