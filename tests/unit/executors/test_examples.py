"""Every type's examples give the outputs that the catalogue shows for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from services.executors.kit.child import RenderPool
from services.executors.kit.examples import read_examples
from services.executors.registry import BUILT_IN, UnknownTypeError, make_node_types
from shared.templates.validation import config_findings
from tests.http_server import Answer, Server, json
from tests.unit.executors.asking import settings
from tests.unit.executors.attempts import outcome_of, ready, rendering

EXAMPLES = [(name, example) for name in BUILT_IN for example in read_examples(name)]


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[RenderPool]:
    async with rendering() as made:
        yield made


def whole(output: dict[str, Any]) -> Answer:
    """How a provider would say what the example shows."""
    choice = {"message": {"content": output["text"]}, "finish_reason": output["finish_reason"]}
    return json({"model": output["model"], "choices": [choice], "usage": output["usage"]})


@pytest.mark.parametrize(
    ("name", "example"), EXAMPLES, ids=[f"{name} {number}" for number, (name, _) in enumerate(EXAMPLES)]
)
async def test_an_example_gives_its_output(server: Server, pool: RenderPool, name: str, example: dict[str, Any]):
    config, output = example["config"], example["output"]
    variables = {"PIPEWRIGHT_ALLOW_ADDRESSES": "127.0.0.1"}
    if name == "llm":
        server.answers = [whole(output)]
        variables |= {"PIPEWRIGHT_LLM_URLS": f"openrouter={server.url}", "OPENROUTER_API_KEY": "k"}
    if name == "http_request":
        server.answers = [
            Answer(200, list(output["headers"].items()), [orjson.dumps(output["body"])], has_length=False)
        ]
        config = config | {"url": config["url"].replace("https://api.example.com", server.url)}
    (node_type,) = make_node_types([name], settings(**variables))
    given = await outcome_of(node_type, ready(config, example["inputs"]), pool)
    await node_type.close()
    assert given == {"status": "completed", "output": output}


@pytest.mark.parametrize("name", BUILT_IN)
async def test_a_type_announces_itself_with_examples_that_fit_its_schemas(name: str):
    (node_type,) = make_node_types([name], settings())
    announced = node_type.announcement("w", 3)
    await node_type.close()
    assert (announced.node_type, announced.slots, announced.worker) == (name, 3, "w")
    assert announced.examples
    Draft202012Validator.check_schema(announced.config_schema)
    for example in announced.examples:
        assert config_findings(example["config"], node_type.config_schema) == []
        Draft202012Validator(announced.output_schema).validate(example["output"])


def test_the_schema_of_a_type_is_one_object():
    """Parsed configs are kept by its identity."""
    first, second = (make_node_types(["text"], settings())[0] for _ in range(2))
    assert first.config_schema is second.config_schema


def test_an_unknown_type_is_named_with_the_known_ones():
    with pytest.raises(UnknownTypeError) as refused:
        make_node_types(["text", "txt"], settings())
    assert str(refused.value) == (
        "There is no node type txt. Known are: text, http_request, llm, condition, transform."
    )
