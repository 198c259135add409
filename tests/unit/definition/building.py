"""Documents as users write them, and the catalogue that they are checked against."""

from __future__ import annotations

from typing import Any

import pytest

from services.definition.validation import KnownType, check, read_document
from services.executors.condition.config import ConditionConfig
from services.executors.llm.config import LlmConfig
from services.executors.text.config import TextConfig
from services.executors.transform.config import TransformConfig
from shared.contracts.pipelines import PipelineDocument
from shared.errors import InvalidError

#: As the definition service keeps it, once these types were announced.
CATALOGUE = {
    "text": KnownType("text", TextConfig.model_json_schema(), 60.0, None),
    "llm": KnownType("llm", LlmConfig.model_json_schema(), 120.0, None),
    "transform": KnownType("transform", TransformConfig.model_json_schema(), 60.0, None),
    "condition": KnownType("condition", ConditionConfig.model_json_schema(), 60.0, "config:cases"),
    "review": KnownType("review", {"type": "object"}, 60.0, ["accepted", "declined"]),
}


def text(key: str, content: str = "hello", **more: Any) -> dict[str, Any]:
    return {"key": key, "type": "text", "config": {"content": content}, **more}


def condition(key: str, **config: Any) -> dict[str, Any]:
    return {"key": key, "type": "condition", "config": config}


def raw(*parts: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
    """Nodes as objects, edges as `"a -> b"` or `"a -yes-> b"`."""
    nodes = [part for part in parts if isinstance(part, dict)]
    edges = [_edge(part) for part in parts if isinstance(part, str)]
    return {"name": "Tested", "nodes": nodes, "edges": edges, **more}


def _edge(line: str) -> dict[str, Any]:
    source, arrow, target = line.split()
    branch = arrow.removesuffix("->").removeprefix("-")
    return {"source": source, "target": target} | ({"branch": branch} if branch else {})


def document(*parts: dict[str, Any] | str, **more: Any) -> PipelineDocument:
    return read_document(raw(*parts, **more))


def findings_of(*parts: dict[str, Any] | str, **more: Any) -> dict[str, str]:
    """Pointer -> what is wrong there, from reading or from checking."""
    with pytest.raises(InvalidError) as caught:
        check(document(*parts, **more), CATALOGUE)
    return {finding.pointer: finding.detail for finding in caught.value.problem.errors}


def accept(*parts: dict[str, Any] | str, **more: Any) -> PipelineDocument:
    found = document(*parts, **more)
    check(found, CATALOGUE)
    return found
