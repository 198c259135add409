"""One attempt: render, validate, execute; every way it can end is an outcome in words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.executors.kit.child import RenderPool
from services.executors.kit.errors import PermanentNodeError, TransientNodeError
from services.executors.kit.node_type import NodeContext
from services.executors.kit.outcomes import worker_died
from services.executors.kit.outputs import TEXT_LIMIT
from tests.unit.executors.attempts import AnyConfig, attempts_of, outcome_of, ready, rendering, type_that


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[RenderPool]:
    async with rendering() as made:
        yield made


async def echo(config: AnyConfig, context: NodeContext) -> dict[str, Any]:
    return {"text": config.text, "value": config.value, "attempt": context.attempt}


async def outcome(pool: RenderPool, config: dict[str, Any], execute: Any = echo, **more: Any) -> dict[str, Any]:
    return await outcome_of(type_that(execute), ready(config, **more), pool)


async def test_a_node_that_ends_well_completes_with_its_output(pool: RenderPool):
    given = await outcome(pool, {"text": "{{ x }}", "value": "{{ x }}"}, inputs={"input": {"x": 7}})
    assert given == {"status": "completed", "output": {"text": "7", "value": 7, "attempt": 2}}


async def test_an_attempt_whose_run_has_ended_since_it_was_taken_does_not_begin(pool: RenderPool):
    async def execute(config: AnyConfig, context: NodeContext) -> dict[str, Any]:
        raise AssertionError("it began")

    async def has_ended(run_id: str) -> bool:
        return False

    attempts = attempts_of(type_that(execute), pool)
    assert await attempts.run(await attempts.prepare(ready({"text": "x"})), has_ended) is None


async def test_a_costly_template_is_rendered_in_the_child(pool: RenderPool):
    given = await outcome(pool, {"value": "{{ range(3) }}"})
    assert given["output"]["value"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({"text": "{{ x"}, "template_error", "/text: line 1: unexpected end of template"),
        ({"text": "{{ missing }}"}, "template_error", "/text: 'missing' is undefined. Known here: run.id."),
        ({"text": "{{ missing * 2 }}"}, "template_error", "/text: 'missing' is undefined. Known here: run.id."),
        ({"text": "{{ 'x' * 10 ** 10 }}"}, "template_too_expensive", "took more than a second or too much memory"),
        ({"text": "{{ 'x' * 2000000 }}"}, "output_too_large", "more than 1048576 characters"),
        ({"txt": "a"}, "invalid_config", "/txt: Extra inputs are not permitted"),
        ({"text": 7}, "invalid_config", "/text: Input should be a valid string"),
    ],
)
async def test_a_config_that_does_not_render_or_fit_is_permanent(
    pool: RenderPool, config: dict[str, Any], code: str, words: str
):
    given = await outcome(pool, config)
    assert (given["status"], given["outcome"], given["retryable"]) == ("failed", "failed", False)
    assert given["error"]["code"] == code
    assert words in given["error"]["message"]


@pytest.mark.parametrize(
    ("error", "retryable", "retry_after_s"),
    [
        (PermanentNodeError("broken", "It is broken."), False, None),
        (TransientNodeError("busy", "It is broken."), True, None),
        (TransientNodeError("busy", "It is broken.", 7.0), True, 7.0),
    ],
)
async def test_an_error_of_the_node_says_whether_to_try_again(
    pool: RenderPool, error: Any, retryable: bool, retry_after_s: float | None
):
    async def execute(config: AnyConfig, context: NodeContext) -> dict[str, Any]:
        raise error

    given = await outcome(pool, {}, execute)
    assert given["error"] == {"code": error.code, "message": "It is broken."}
    assert (given["retryable"], given.get("retry_after_s")) == (retryable, retry_after_s)


async def test_a_fault_of_the_type_is_told_without_its_words(pool: RenderPool):
    async def execute(config: AnyConfig, context: NodeContext) -> dict[str, Any]:
        raise KeyError("s3cret")

    given = await outcome(pool, {}, execute)
    assert (given["error"]["code"], given["retryable"]) == ("internal_error", False)
    assert given["error"]["message"] == "The node type tried has a fault. Its log says more."


async def test_a_node_that_does_not_end_is_ended_by_its_timeout(pool: RenderPool):
    ended = asyncio.Event()

    async def execute(config: AnyConfig, context: NodeContext) -> dict[str, Any]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    given = await outcome(pool, {}, execute, timeout_s=0.05)
    assert (given["outcome"], given["error"]["code"], given["retryable"]) == ("timed_out", "timed_out", True)
    assert "its timeout_s of 0.05 s" in given["error"]["message"]
    assert ended.is_set()


async def test_an_output_that_cannot_be_stored_is_permanent(pool: RenderPool):
    given = await outcome(pool, {"value": "{{ x }}"}, inputs={"input": {"x": "a\x00b"}})
    assert (given["error"]["code"], given["retryable"]) == ("unstorable_output", False)
    assert "U+0000" in given["error"]["message"]


def test_work_that_no_worker_ended_may_be_tried_again():
    """Workers that were stopped in time count, too."""
    given = worker_died(6)
    assert (given["outcome"], given["error"]["code"], given["retryable"]) == ("worker_died", "worker_died", True)


async def test_what_an_error_quotes_is_made_storable(pool: RenderPool):
    async def execute(config: AnyConfig, context: NodeContext) -> dict[str, Any]:
        raise PermanentNodeError("broken", "It said a\x00b and \ud800. " + "x" * 100_000)

    given = await outcome(pool, {}, execute)
    assert given["error"]["code"] == "broken"
    assert given["error"]["message"].startswith("It said a\ufffdb and ?. xxx")
    assert len(given["error"]["message"]) == TEXT_LIMIT


@pytest.mark.parametrize("figure", [object(), "a\x00b", "\ud800", 2**64, "x" * 100_000], ids=type)
async def test_figures_that_cannot_be_kept_cost_no_output(pool: RenderPool, figure: Any):
    async def execute(config: AnyConfig, context: NodeContext) -> dict[str, Any]:
        context.metadata["figure"] = figure
        return {"done": True}

    assert await outcome(pool, {}, execute) == {"status": "completed", "output": {"done": True}}
