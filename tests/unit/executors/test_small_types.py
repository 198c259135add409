"""text, condition and transform: what they make of their config."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from services.executors.condition.config import ConditionConfig
from services.executors.kit.child import RenderPool
from services.executors.registry import make_node_types
from tests.unit.executors.asking import settings
from tests.unit.executors.attempts import outcome_of, ready, rendering

INPUT = {"score": 5, "name": "Ada", "text": "0", "none": None, "list": [], "rows": [{"n": 1}, {"n": 2}]}


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[RenderPool]:
    async with rendering() as made:
        yield made


async def outcome(pool: RenderPool, name: str, config: dict[str, Any]) -> dict[str, Any]:
    (node_type,) = make_node_types([name], settings())
    return await outcome_of(node_type, ready(config, {"input": INPUT}), pool)


async def output(pool: RenderPool, name: str, **config: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await outcome(pool, name, config))["output"]
    return found


@pytest.mark.parametrize(
    ("content", "text"), [("Hello", "Hello"), ("Hello {{ name }}", "Hello Ada"), ("{{ rows }}", '[{"n":1},{"n":2}]')]
)
async def test_a_text_is_its_content(pool: RenderPool, content: str, text: str):
    assert await output(pool, "text", content=content) == {"text": text}


@pytest.mark.parametrize(
    ("expression", "branch"),
    [
        ("score > 3", "true"),
        ("score > 7", "false"),
        ("input.name == 'Ada' and score in [5, 6]", "true"),
        ("none", "false"),
        ("list", "false"),
        ("rows", "true"),
        ("'false'", "true"),
        ("text", "true"),
        ("score * 0", "false"),
        ("missing is defined", "false"),
    ],
)
async def test_a_condition_takes_the_branch_that_its_expression_says(pool: RenderPool, expression: str, branch: str):
    assert await output(pool, "condition", expression=expression) == {"branch": branch}


@pytest.mark.parametrize(
    ("whens", "branch"),
    [
        (["score > 9", "score > 3", "true"], "b"),
        (["score > 9", "false", "none"], "default"),
        (["true", "true", "true"], "a"),
        (["list", "0", "1"], "c"),
    ],
)
async def test_of_several_cases_the_first_that_is_true_wins(pool: RenderPool, whens: list[str], branch: str):
    cases = [{"branch": name, "when": when} for name, when in zip("abc", whens, strict=True)]
    assert await output(pool, "condition", cases=cases) == {"branch": branch}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "give either 'expression' or 'cases'"),
        ({"expression": "1", "cases": [{"branch": "a", "when": "1"}]}, "give either 'expression' or 'cases'"),
        ({"cases": []}, "at least 1 item"),
        ({"cases": [{"branch": "Not A Branch", "when": "1"}]}, "should match pattern"),
        ({"cases": [{"branch": "a"}]}, "Field required"),
        ({"cases": [{"branch": "a", "when": "1"}] * 51}, "at most 50 items"),
        ({"expresion": "1"}, "Extra inputs are not permitted"),
    ],
)
def test_a_condition_wants_one_expression_or_some_cases(config: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words):
        ConditionConfig.model_validate(config)


async def test_an_expression_that_is_none_is_an_expression(pool: RenderPool):
    assert ConditionConfig(expression=None).expression is None
    assert await output(pool, "condition", expression="input.none") == {"branch": "false"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("score", 5),
        ("text", "0"),
        ("none", None),
        ("rows | jmespath('[].n')", [1, 2]),
        ("rows | map(attribute='n') | sum", 3),
        ("{'name': name, 'scores': [score, score * 2]}", {"name": "Ada", "scores": [5, 10]}),
        ("rows | selectattr('n', 'gt', 1)", [{"n": 2}]),
        ("name ~ '!'", "Ada!"),
        ("1, 2", [1, 2]),
    ],
)
async def test_a_transform_gives_the_value_of_its_expression(pool: RenderPool, expression: str, value: Any):
    found = (await output(pool, "transform", expression=expression))["value"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("name", ["condition", "transform"])
async def test_an_expression_that_fails_says_why(pool: RenderPool, name: str):
    given = await outcome(pool, name, {"expression": "missing.field"})
    assert given["error"]["code"] == "template_error"
    assert given["error"]["message"].startswith("/expression: 'missing' is undefined. Known here: input.score, ")
